r"""
Secrets a run was given, taken out of what it logged and of how it failed.

Every place where a value of at least four characters stands becomes ``***``: as it is, as ``util.inspect`` or
``JSON.stringify`` writes it inside an object (escaped, also one in the other), as ``util.inspect`` breaks text of
several lines into ``'one\n' +`` and ``'two'``, and with its lines indented. Values that overlap or contain each other
leave nothing of themselves. Where a text was cut, its end is taken out too when it is the beginning of a value.

A result is its author's business and not touched. What a function encodes by itself is not recognised.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace

from shared.domain.outcome import LogLine, Raised, Report, Returned

SHORTEST = 4
MASK = "***"
_TRUNCATED = "…(truncated)"
"""What a runtime appends to a log line that it has cut."""
_LONG = 512
"""An error's name of so many characters may have been cut by the runtime, a line or text of 32 times as many too."""
_LONG_TEXT = 32 * _LONG
_BREAK = re.compile(r"""['"`] \+\n *['"`]|\\(?=')""")
_INDENT = re.compile(r"(?<=\n) +")
_INSPECTED = {
    **{code: f"\\x{code:02X}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{
        ord(plain): escaped
        for plain, escaped in zip("\b\t\n\f\r\\", ("\\b", "\\t", "\\n", "\\f", "\\r", "\\\\"), strict=True)
    },
}
_INSPECTED_IN_QUOTES = {**_INSPECTED, ord("'"): "\\'"}

Span = tuple[int, int]


class Redactor:
    """Takes the values of one function's secrets out of texts."""

    def __init__(self, values: Iterable[str]) -> None:
        kept = [value for value in values if len(value) >= SHORTEST]
        self._forms = tuple(_Form(text) for text in sorted({form for value in kept for form in _forms(value)}))
        of_lines = [value for value in kept if "\n" in value]
        self._spread = (
            (_BREAK, (" +\n", "\\'"), tuple(_Form(text) for text in sorted({_inspected(value) for value in of_lines}))),
            (_INDENT, ("\n ",), tuple(_Form(text) for text in sorted({_INDENT.sub("", value) for value in of_lines}))),
        )

    def report(self, report: Report) -> Report:
        """Return a report without the values in its log lines and in the error the function raised."""
        if not self._forms:
            return report
        outcome = report.outcome
        if isinstance(outcome, Raised):
            outcome = Raised(
                name=self.text(outcome.name, cut=len(outcome.name) > _LONG),
                message=self.text(outcome.message, cut=len(outcome.message) > _LONG_TEXT),
                stack=self.text(outcome.stack, cut=len(outcome.stack) > _LONG_TEXT),
            )
        # A process that was killed may have been in the middle of its last line.
        whole = isinstance(outcome, Raised | Returned)
        last = len(report.logs) - 1
        lines = tuple(self._line(line, cut=at == last and not whole) for at, line in enumerate(report.logs))
        return replace(report, outcome=outcome, logs=lines)

    def text(self, text: str, *, cut: bool = False) -> str:
        """Return ``text`` without the values; ``cut`` says that its end may be missing."""
        spans = list(_found(text, self._forms, cut=cut))
        for gap, signs, forms in self._spread:
            if forms and any(sign in text for sign in signs):
                spans += _found_between(gap, text, forms, cut=cut)
        if not spans:
            return text
        made, at = [], 0
        for start, end in _merged(spans):
            made += [text[at:start], MASK]
            at = end
        return "".join((*made, text[at:]))

    def _line(self, line: LogLine, *, cut: bool) -> LogLine:
        text = self._line_text(line.text, cut=cut)
        message = text if line.message == line.text else self._line_text(line.message, cut=cut)
        return line if text == line.text and message == line.message else replace(line, text=text, message=message)

    def _line_text(self, text: str, *, cut: bool) -> str:
        if text.endswith(_TRUNCATED):
            return self.text(text.removesuffix(_TRUNCATED), cut=True) + _TRUNCATED
        return self.text(text, cut=cut or len(text) > _LONG_TEXT)


class _Form:
    """One way to write a value. Looking for it takes time in proportion to the text, whatever both are."""

    __slots__ = ("_chain", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        period = _period(text)
        # Where a form overlaps itself, a run of such places is found at once: "aaaa" is in "aaaaaa" three times.
        self._chain = None if period == len(text) else re.compile(f"(?:{re.escape(text[:period])})*{re.escape(text)}")

    def places(self, text: str) -> Iterator[Span]:
        """Yield where it stands."""
        at = text.find(self._text)
        if self._chain is None:
            while at >= 0:
                yield at, at + len(self._text)
                at = text.find(self._text, at + len(self._text))
        elif at >= 0:
            while found := self._chain.search(text, at):
                yield found.span()
                at = found.end() - len(self._text) + 1

    def beginning(self, text: str, end: int) -> int:
        """Return from where on the text up to ``end`` is the beginning of it; -1 if it is not."""
        if text[end - SHORTEST : end] not in self._text:
            return -1
        sign = self._text[:SHORTEST]
        at = text.find(sign, max(0, end - len(self._text) + 1), end)
        while at >= 0 and not self._text.startswith(text[at:end]):
            at = text.find(sign, at + 1, end)
        return at


def _period(text: str) -> int:
    """Return the smallest distance at which a text overlaps itself; its length when it does not."""
    at = text.find(text[0], 1)
    while at >= 0 and not text.startswith(text[at:]):
        at = text.find(text[0], at + 1)
    return at if at >= 0 else len(text)


def _found(text: str, forms: Iterable[_Form], *, cut: bool) -> Iterator[Span]:
    """Yield where forms stand in the text; in one that was cut, also where one begins that its end cuts short."""
    # Cutting may have halved the last character.
    end = len(text.rstrip("\ufffd")) if cut else 0
    for form in forms:
        yield from form.places(text)
        if cut and (at := form.beginning(text, end)) >= 0:
            yield at, len(text)


def _found_between(gap: re.Pattern[str], text: str, forms: Iterable[_Form], *, cut: bool) -> Iterator[Span]:
    """Look in the text with the gaps taken out; yield places in the text itself."""
    pieces: list[str] = []
    starts: list[int] = []
    origins: list[int] = []
    length = at = 0
    for found in (*gap.finditer(text), None):
        piece = text[at : found.start() if found is not None else len(text)]
        starts.append(length)
        origins.append(at)
        pieces.append(piece)
        length += len(piece)
        at = found.end() if found is not None else at

    def origin(place: int) -> int:
        index = bisect_right(starts, place) - 1
        return origins[index] + place - starts[index]

    for start, end in _found("".join(pieces), forms, cut=cut):
        yield origin(start), origin(end - 1) + 1


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the places in order, those that overlap as one."""
    first, *others = sorted(spans)
    start, end = first
    for other_start, other_end in others:
        if other_start > end:
            yield start, end
            start, end = other_start, other_end
        else:
            end = max(end, other_end)
    yield start, end


def _forms(value: str) -> set[str]:
    """Return how a value may be written: as it is, inspected or as JSON, and each of these in another."""
    once = {value, *_written(value)}
    twice = {form for each in once for form in _written(each)}
    # A log line holds no NUL: each became U+FFFD.
    return {form.replace("\0", "\ufffd") for form in once | twice}


def _written(value: str) -> tuple[str, str, str]:
    return _inspected(value), value.translate(_INSPECTED_IN_QUOTES), json.dumps(value, ensure_ascii=False)[1:-1]


def _inspected(value: str) -> str:
    return value.translate(_INSPECTED)
