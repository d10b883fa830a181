"""
The runtimes a function may ask for: a catalogue, not an inventory.

A name says which interpreter family runs the code and by which calling convention. Which version of the
interpreter is really there is the machine's business: ``nodejs20.x`` runs on the newest Node.js, ``node18`` on the
real Node.js 18 where it is installed, and the invoker says in its health which one that is. Names that no invoker
of ours can run (Java, Ruby, ...) are not offered, so that creating a function fails instead of calling it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.errors import InvalidRequestError
from shared.domain.function import Convention


class Family(StrEnum):
    """What runs the code: an interpreter that the invoker brings, or a program of the package's own."""

    NODE = "node"
    """The newest Node.js at hand: for every version that has no family of its own."""
    NODE16 = "node16"
    NODE18 = "node18"
    PYTHON = "python"
    PROVIDED = "provided"
    """The package holds a program, ``bootstrap``, that asks AWS Lambda's Runtime API for its events."""


NODE_FAMILIES = (Family.NODE, Family.NODE16, Family.NODE18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One name of the catalogue."""

    name: str
    family: Family
    convention: Convention

    def is_real(self, version: str) -> bool:
        """Tell whether an interpreter of this version is the one the name promises, and not a stand-in."""
        promised = _VERSION.search(self.name)
        return promised is not None and f"{version}.".startswith(f"{promised[0]}.")


_VERSION = re.compile(r"\d+(\.\d+)?")
_OWN_FAMILY = {16: Family.NODE16, 18: Family.NODE18}


def _table() -> dict[str, Runtime]:
    families = {f"nodejs{major}.x": _OWN_FAMILY.get(major, Family.NODE) for major in (24, 22, 20, 18, 16)}
    families |= {f"python3.{minor}": Family.PYTHON for minor in range(14, 7, -1)}
    families |= dict.fromkeys(("provided.al2023", "provided.al2"), Family.PROVIDED)
    table = {name: Runtime(name=name, family=family, convention=Convention.LAMBDA) for name, family in families.items()}
    for family in _OWN_FAMILY.values():
        table[family.value] = Runtime(name=family.value, family=family, convention=Convention.NEO)
    return table


RUNTIMES = _table()
"""Every runtime that is offered, by name."""


def offered(convention: Convention) -> tuple[str, ...]:
    """Return the names offered for a calling convention, in the order they are told to callers."""
    return tuple(runtime.name for runtime in RUNTIMES.values() if runtime.convention is convention)


def require_runtime(name: str, convention: Convention) -> Runtime:
    """Return the runtime; raise ``InvalidRequestError`` (field ``runtime``) that lists what is offered instead."""
    runtime = RUNTIMES.get(name)
    if runtime is None or runtime.convention is not convention:
        raise InvalidRequestError(
            f"runtime must be one of {', '.join(offered(convention))}", field="runtime", issue="not offered"
        )
    return runtime
