"""
Environment variables as typed, frozen blocks.

A block is a frozen dataclass whose fields are made by ``setting``; a block may hold other blocks. ``load`` is
pure: it takes the environment as a mapping, collects every problem and raises one ``SettingsError`` that names
each variable, the bad value and what was expected. Nothing falls back in silence: an empty or a misspelt
variable is a problem too. What the variables are is said in ``settings.py``; this module only knows how.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, get_type_hints
from urllib.parse import urlsplit, urlunsplit

PREFIX = "TIDEMILL_"
_METADATA = "variable"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_MAX_PORT = 65535


class SettingsError(Exception):
    """The settings cannot be used. ``problems`` has one sentence for each thing to mend."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("cannot start with these settings:\n" + "\n".join(f"  - {problem}" for problem in problems))


class Secret:
    """A value that must not be shown: only ``reveal`` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class SecretUrl(Secret):
    """A URL that may hold a password: shown without it."""

    __slots__ = ()

    def __repr__(self) -> str:
        parts = urlsplit(self.reveal())
        if parts.password is None:
            return self.reveal()
        location = f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}"
        return urlunsplit((parts.scheme, location, parts.path, parts.query, parts.fragment))


class Parse(Protocol):
    """Turns the text of a variable into its value; raises ``ValueError`` that says what was expected."""

    def __call__(self, text: str, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """
    One environment variable: its full name, how it is read, its default as text (or what its absence means).

    The value of a ``hidden`` one is not shown, even when it is wrong.
    """

    name: str
    parse: Parse
    default: str | None
    absent: str
    hidden: bool
    doc: str


def setting(
    name: str,
    parse: Parse,
    *,
    doc: str,
    default: str | None = None,
    absent: str = "",
    hidden: bool = False,
    prefix: str = PREFIX,
) -> Any:
    """
    Declare a field of a block.

    ``default`` is text, read by ``parse`` like any other value; without it the field is ``None`` when the
    variable is absent, and ``absent`` says what that means. ``prefix`` is given only for a name that others chose.
    """
    variable = Variable(name=prefix + name, parse=parse, default=default, absent=absent, hidden=hidden, doc=doc)
    return dataclasses.field(
        default_factory=lambda: None if default is None else parse(default), metadata={_METADATA: variable}
    )


def block(cls: type) -> Any:
    """Declare a field that is itself a block."""
    return dataclasses.field(default_factory=cls)


def variables(cls: type) -> Iterator[tuple[tuple[str, ...], Variable]]:
    """Yield every variable of a block and of the blocks in it, each with its path of field names."""
    hints = get_type_hints(cls)
    for each in dataclasses.fields(cls):
        if _METADATA in each.metadata:
            yield (each.name,), each.metadata[_METADATA]
        else:
            for path, variable in variables(hints[each.name]):
                yield (each.name, *path), variable


Block = TypeVar("Block")


def load(cls: type[Block], environ: Mapping[str, str], *, known: frozenset[str] = frozenset()) -> Block:
    """
    Read a block from the environment.

    A block with a method ``conflicts() -> Iterable[str]`` is asked for what does not fit together, once every
    value could be read. A variable with our prefix that is neither the block's nor in ``known`` is a problem.

    Raises:
        SettingsError: with every problem found.
    """
    names = {variable.name for _, variable in variables(cls)} | known
    problems = [_unknown(name, names) for name in sorted(environ) if name.startswith(PREFIX) and name not in names]
    loaded = _read(cls, environ, problems)
    if not problems:
        problems.extend(_conflicts(loaded))
    if problems:
        raise SettingsError(problems)
    return cast("Block", loaded)


def _unknown(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _read(cls: type, environ: Mapping[str, str], problems: list[str]) -> object:
    values: dict[str, object] = {}
    hints = get_type_hints(cls)
    for each in dataclasses.fields(cls):
        variable: Variable | None = each.metadata.get(_METADATA)
        if variable is None:
            values[each.name] = _read(hints[each.name], environ, problems)
        elif variable.name in environ:
            try:
                values[each.name] = variable.parse(environ[variable.name])
            except ValueError as error:
                shown = "***" if variable.hidden else repr(environ[variable.name])
                problems.append(f"{variable.name}={shown}: {error}")
    return cls(**values)


def _conflicts(loaded: object) -> Iterator[str]:
    for each in dataclasses.fields(cast("Any", loaded)):
        if dataclasses.is_dataclass(value := getattr(loaded, each.name)):
            yield from _conflicts(value)
    ask: Callable[[], Iterator[str]] | None = getattr(loaded, "conflicts", None)
    if ask is not None:
        yield from ask()


def effective(loaded: object) -> dict[str, str]:
    """Return what is in force, by variable name, with secrets redacted: safe to print and to log."""
    shown: dict[str, str] = {}
    for path, variable in variables(type(loaded)):
        value: Any = loaded
        for name in path:
            value = getattr(value, name)
        shown[variable.name] = f"({variable.absent})" if value is None else _show(value)
    return shown


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if isinstance(value, Secret) else str(value)


def text(value: str) -> str:
    """Read any text but the empty one."""
    if not value.strip():
        raise ValueError("expected some text; unset the variable to get its default")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """Read a whole number from ``low`` to ``high``."""

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return number

    return parse


port = whole(0, _MAX_PORT)


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Read a number of seconds from ``low`` to ``high``."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"expected a number of seconds from {low:g} to {high:g}")
        return number

    return parse


def switch(value: str) -> bool:
    """Read yes or no."""
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("expected yes or no")


def one_of(*choices: str) -> Callable[[str], str]:
    """Read one word out of a list."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return value

    return parse


def path(value: str) -> Path:
    """Read a path; it is made absolute."""
    return Path(text(value)).expanduser().absolute()


def secret(value: str) -> Secret:
    """Read a text that is never shown."""
    return Secret(text(value))


def matching(shape: Callable[[str], bool], expected: str) -> Callable[[str], str]:
    """Read a text of a certain shape."""

    def parse(value: str) -> str:
        if not shape(value):
            raise ValueError(f"expected {expected}")
        return value

    return parse


def secret_matching(shape: Callable[[str], bool], expected: str) -> Callable[[str], Secret]:
    """Read a text of a certain shape that is never shown."""
    parse = matching(shape, expected)
    return lambda value: Secret(parse(value))


def secret_url(*schemes: str) -> Callable[[str], SecretUrl]:
    """Read a URL with one of these schemes and a host; a password in it is never shown."""

    def parse(value: str) -> SecretUrl:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.netloc or parts.query):
            raise ValueError(f"expected a URL like {schemes[0]}://user:password@host/name")
        return SecretUrl(value)

    return parse
