"""
From a method and a raw path to a route: one dictionary step a segment, no regular expressions.

Templates are those of ``dialects/dialect.py``. A literal segment wins over a parameter, a parameter over the
rest; the rest takes what literals and parameters lead nowhere with. Paths are matched as sent, so ``%2F`` never
splits a segment and ``..`` means nothing. Two routes that claim the same method of the same path are a bug and
refused when the table is built.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from services.api.dialects.dialect import Dialect, Route
from shared.domain.errors import MethodNotAllowedError, RouteNotFoundError

ANY = "*"
_NO_PARAMETERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """A route and the dialect that owns it; None for the platform's own pages."""

    route: Route
    dialect: Dialect | None


@dataclass(slots=True)
class _Node:
    """One place in the tree: what may follow, and what answers when nothing does."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    rest: "_Node | None" = None
    names: tuple[str, ...] = ()
    methods: dict[str, Entry] = field(default_factory=dict)


_Passed = tuple[_Node, int, int]
"""The rest at a place, the segment it would begin with, and how many values came before."""


class Router:
    """The table of all routes. Built once; ``find`` is called for every request."""

    def __init__(self) -> None:
        self._root = _Node()
        self._plain: dict[str, _Node] = {}

    def add(self, routes: Iterable[Route], dialect: Dialect | None) -> None:
        """Enter routes; raise ``ValueError`` for two that claim the same."""
        for route in routes:
            node, names = self._place(route.path)
            if node.methods and node.names != names:
                raise ValueError(f"{route.path} names its parameters {names}, another route {node.names}")
            node.names = names
            for method in route.methods:
                if method in node.methods:
                    raise ValueError(f"{method} {route.path} is claimed twice")
                node.methods[method] = Entry(route, dialect)
            if not names:
                self._plain[route.path] = node

    def find(self, method: str, path: str) -> tuple[Entry, Mapping[str, str]]:
        """
        Return the route of a raw path (no query) and its parameters.

        Raises:
            RouteNotFoundError: no route has that path.
            MethodNotAllowedError: it has others; the field ``allow`` lists them.
        """
        node = self._plain.get(path)
        if node is not None:
            return _choose(node, method), _NO_PARAMETERS
        values: list[str] = []
        node = self._walk(path, values)
        if node is None or not node.methods:
            raise RouteNotFoundError("no such path")
        return _choose(node, method), dict(zip(node.names, values, strict=True))

    def _place(self, template: str) -> tuple[_Node, tuple[str, ...]]:
        node, names = self._root, []
        for segment in _segments(template):
            if not segment.startswith("{"):
                node = node.literals.setdefault(segment, _Node())
            elif segment.endswith("...}"):
                names.append(segment[1:-4])
                node.rest = node = node.rest or _Node()
            else:
                names.append(segment[1:-1])
                node.parameter = node = node.parameter or _Node()
        return node, tuple(names)

    def _walk(self, path: str, values: list[str]) -> _Node | None:
        """Follow the path to its place in the tree; ``values`` receives what stands at the parameters."""
        node = self._root
        segments = path.split("/")
        last = len(segments) - 1
        passed: _Passed | None = None
        for index in range(1, len(segments)):
            segment = segments[index]
            if node.rest is not None:
                passed = (node.rest, index, len(values))
            if (literal := node.literals.get(segment)) is not None:
                node = literal
            elif segment and node.parameter is not None:
                values.append(unquote(segment) if "%" in segment else segment)
                node = node.parameter
            elif segment or index < last or node.rest is not None:
                return _back(passed, segments, values)
        if node.methods:
            return node
        if node.rest is not None:
            values.append("")
            return node.rest
        return _back(passed, segments, values)


def _back(passed: _Passed | None, segments: list[str], values: list[str]) -> _Node | None:
    """Return to the last place whose rest was passed over for a literal segment that led nowhere."""
    if passed is None:
        return None
    node, index, many = passed
    values[many:] = ["/" + "/".join(segments[index:])]
    return node


def _segments(template: str) -> list[str]:
    stripped = template.strip("/")
    return stripped.split("/") if stripped else []


def _choose(node: _Node, method: str) -> Entry:
    entry = node.methods.get(method)
    if entry is None and method == "HEAD":
        entry = node.methods.get("GET")
    if entry is None:
        entry = node.methods.get(ANY)
    if entry is None:
        allowed = sorted({*node.methods, *(["HEAD"] if "GET" in node.methods else [])})
        raise MethodNotAllowedError(f"{method} is not offered here", allow=", ".join(allowed))
    return entry
