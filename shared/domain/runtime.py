"""
The runtimes a function may ask for: a catalogue, not an inventory.

A name says which interpreter family runs the code and by which calling convention. Which version of the
interpreter is really there is the machine's business: ``nodejs20.x`` and ``node18`` run on the Node.js at hand,
and the invoker says in its health which one that is. Names that no invoker of ours can run (Java, Ruby, ...) are
not offered, so that creating a function fails instead of calling it.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.errors import InvalidRequestError
from shared.domain.function import Convention


class Family(StrEnum):
    """The interpreters an invoker brings."""

    NODE = "node"
    PYTHON = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One name of the catalogue."""

    name: str
    family: Family
    convention: Convention


def _table() -> dict[str, Runtime]:
    names: dict[Family, tuple[str, ...]] = {
        Family.NODE: tuple(f"nodejs{version}.x" for version in (24, 22, 20, 18, 16)),
        Family.PYTHON: tuple(f"python3.{minor}" for minor in range(14, 7, -1)),
    }
    table = {
        name: Runtime(name=name, family=family, convention=Convention.LAMBDA)
        for family, of_family in names.items()
        for name in of_family
    }
    for name in ("node16", "node18"):
        table[name] = Runtime(name=name, family=Family.NODE, convention=Convention.NEO)
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
