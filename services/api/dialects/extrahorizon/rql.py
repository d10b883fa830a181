"""
RQL as text: from a raw query string to a tree of calls (contracts/extrahorizon.md section 8).

Every form becomes a ``Call``: ``eq(f,v)`` and the persvr forms ``f=v``, ``f>=v``, ``f=ge=v``; terms joined by
``&`` or ``|`` become ``and`` or ``or``. Names and values stay text: what a value *is* depends on the field it is
compared with, which ``rql_query`` knows. Field names are decoded once, values twice, by ``decoded_value``.

    query = [ terms ]          terms = term { "&" term } | term { "|" term }
    term  = "(" terms ")" | name "(" [ arg { "," arg } ] ")" | field operator value
    value = text | "(" text { "," text } ")"

Strict: what does not fit the grammar is an ``InvalidQueryError``, as are nesting and size beyond the bounds.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from shared.domain.errors import InvalidQueryError

MAX_CHARACTERS = 16_384
MAX_DEPTH = 20

_STOPS = re.compile(r"[(),&|]")
_NAME = re.compile(r"[A-Za-z_]+")
_COMPARISON = re.compile(r"(?P<field>[^=<>!]+)(?P<sign>=[a-z]+=|[<>!]=|[<>=])(?P<value>.*)", re.DOTALL)
_SIGNS = {"=": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_TERMS_FROM = {"and": 0, "or": 0, "contains": 1, "excludes": 1}
"""From which argument on these operators take terms; all other arguments are texts."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operator with its arguments: texts, lists of texts, and calls where the operator takes terms."""

    name: str
    args: "tuple[Argument, ...]"


Argument: TypeAlias = str | tuple[str, ...] | Call


def parse(raw_query: str) -> tuple[Call, ...]:
    """
    Return the terms of a raw query string (without its ``?``), which all must hold; none for an empty one.

    Raises:
        InvalidQueryError: the text is no RQL.

    """
    if not raw_query:
        return ()
    if len(raw_query) > MAX_CHARACTERS:
        raise InvalidQueryError(f"The RQL is longer than {MAX_CHARACTERS} characters.")
    reader = _Reader(_decoded(raw_query))
    whole = reader.terms()
    if not reader.at_end:
        raise reader.error("an unexpected character")
    if whole.name == "and":
        return tuple(term for term in whole.args if isinstance(term, Call))
    return (whole,)


def decoded_value(text: str) -> str:
    """Decode the text of a value for the second time."""
    return _decoded(text)


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
        decoded.encode()
    except UnicodeError:
        raise InvalidQueryError("The RQL holds bytes that are no UTF-8.") from None
    if "\0" in decoded:
        raise InvalidQueryError("The RQL holds a NUL character.")
    return decoded


class _Reader:
    """A cursor over the query, decoded once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._text)

    def error(self, problem: str) -> InvalidQueryError:
        return InvalidQueryError(f"The RQL has {problem} at position {self._at}.")

    def terms(self) -> Call:
        terms = [self._term()]
        joint = self._next()
        while self._next() and self._next() == joint and joint in "&|":
            self._at += 1
            terms.append(self._term())
        if self._next() and self._next() in "&|":
            raise self.error("'&' and '|' mixed without parentheses")
        return terms[0] if len(terms) == 1 else Call("or" if joint == "|" else "and", tuple(terms))

    def _term(self) -> Call:
        if self._next() == "(":
            return self._parenthesised()
        text = self._run()
        if self._next() == "(" and _NAME.fullmatch(text):
            return self._call(text)
        comparison = _COMPARISON.fullmatch(text)
        if comparison is None:
            raise self.error("a term that is neither a call nor a comparison")
        field, sign, value = comparison.group("field", "sign", "value")
        name = _SIGNS.get(sign) or sign.strip("=")
        return Call(name, (field, self._list() if not value and self._next() == "(" else value))

    def _parenthesised(self) -> Call:
        self._open()
        inner = self.terms()
        self._close()
        return inner

    def _call(self, name: str) -> Call:
        self._open()
        args: list[Argument] = []
        terms_from = _TERMS_FROM.get(name, MAX_CHARACTERS)
        more = self._next() != ")"
        while more:
            if len(args) >= terms_from:
                args.append(self._term())
            else:
                args.append(self._list() if self._next() == "(" else self._run())
            more = self._comma()
        self._close()
        return Call(name, tuple(args))

    def _list(self) -> tuple[str, ...]:
        self._open()
        items = [self._run()]
        while self._comma():
            items.append(self._run())
        self._close()
        return tuple(items)

    def _run(self) -> str:
        stop = _STOPS.search(self._text, self._at)
        start, self._at = self._at, stop.start() if stop else len(self._text)
        return self._text[start : self._at]

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _comma(self) -> bool:
        found = self._next() == ","
        self._at += found
        return found

    def _open(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} levels")
        self._at += 1

    def _close(self) -> None:
        if self._next() != ")":
            raise self.error("a missing ')'")
        self._depth -= 1
        self._at += 1
