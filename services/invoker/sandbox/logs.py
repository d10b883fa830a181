r"""
What a worker wrote, as log lines.

A worker's standard output and error are one pipe, so their order is kept. What is in it is text lines, raw or
with Lambda's prefix, and framed kinds that our runtimes write, for records that hold newlines among others: a line
that begins with a NUL byte and a letter, in which NUL stands for a newline::

    2024-05-01T10:00:00.131Z\t<request id>\tINFO\ttext      Node.js, as on Lambda
    [INFO]\t2024-05-01T10:00:00.131Z\t<request id>\ttext    Python logging, as on Lambda, after \0L
    level\ttext                                             a Neo function's log, after \0N
    \0D alone                                              a line that the runtime itself did not keep

Lines written between two calls go to the later one, as on Lambda. Anything else is taken as the author's own
text at level ``info``. ``LogCollector`` is pure: bytes in, lines out, bounded, every line beyond the bound
counted. User code can write any of these forms; it can only spoil its own log.
"""

from datetime import datetime

from shared.domain.outcome import LogLine

_LEVELS = frozenset(("trace", "debug", "info", "warn", "error", "fatal"))
_ALIASES = {"warning": "warn", "critical": "fatal"}
_PYTHON_FRAME, _NEO_FRAME, _DROPPED_FRAME = b"\0L", b"\0N", b"\0D"
_ID_LENGTH = 36
_TAIL_BYTES = 16384
_NODE_FIELDS, _PYTHON_FIELDS = 4, 4


class LogCollector:
    """
    Collects the lines of one invocation; ``take`` ends it and begins the next.

    At most ``max_bytes`` of text are kept. A longer line than ``max_line_bytes`` is cut there.
    """

    def __init__(self, *, max_bytes: int, max_line_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_line_bytes = max_line_bytes
        self._lines: list[LogLine] = []
        self._kept_bytes = 0
        self._dropped = 0
        self._partial = b""
        self._cutting = False
        self._unfinished = False
        self.tail = b""
        """The last bytes fed once lines are being dropped, to tell why a process ended."""

    def feed(self, data: bytes, now_ms: int) -> None:
        """Take bytes as they came out of the pipe at ``now_ms``."""
        if self._kept_bytes >= self._max_bytes:
            self._count(data)
            return
        *lines, rest = data.split(b"\n")
        if not lines:
            self._partial += rest
        for at, line in enumerate(lines):
            whole = self._partial + line
            self._partial = b""
            if self._cutting:
                self._cutting = False
            elif self._kept_bytes < self._max_bytes:
                self._keep(whole, now_ms)
            else:
                self._count(b"\n".join((*lines[at:], rest)))
                return
        if lines:
            self._partial = rest
        if len(self._partial) >= self._max_line_bytes:
            if not self._cutting:
                self._keep(self._partial, now_ms)
            self._partial, self._cutting = b"", True
        if self._kept_bytes >= self._max_bytes and not self._cutting:
            self.tail, self._unfinished, self._partial = self._partial, bool(self._partial), b""

    def take(self, now_ms: int) -> tuple[tuple[LogLine, ...], int]:
        """Return the lines so far, an unfinished one included, and how many were dropped; start anew."""
        if self._partial and not self._cutting:
            self._keep(self._partial, now_ms)
        taken, dropped = tuple(self._lines), self._dropped + self._unfinished
        self._lines, self._kept_bytes, self._dropped = [], 0, 0
        self._partial, self._cutting, self._unfinished, self.tail = b"", False, False, b""
        return taken, dropped

    def mentions(self, text: str) -> bool:
        """Tell whether any of the last lines holds a text."""
        encoded = text.encode()
        recent = any(text in line.message for line in self._lines[-200:])
        return recent or encoded in self._partial or encoded in self.tail

    def _count(self, data: bytes) -> None:
        """Past the bound: count the lines and forget them; what is left of a line that was cut is no line."""
        if self._cutting:
            _, newline, data = data.partition(b"\n")
            self._cutting = not newline
        if not data:
            return
        self._dropped += data.count(b"\n")
        self._unfinished = not data.endswith(b"\n")
        self.tail = (self.tail + data)[-_TAIL_BYTES:]

    def _keep(self, line: bytes, now_ms: int) -> None:
        if line == _DROPPED_FRAME:
            self._dropped += 1
            return
        line = line[: self._max_line_bytes]
        self._kept_bytes += len(line) + 1
        self._lines.append(parse_line(line, now_ms))


def parse_line(line: bytes, now_ms: int) -> LogLine:
    """Return the log line a worker meant by ``line`` (no newline at its end)."""
    framed = line[:2]
    if framed == _NEO_FRAME:
        level, _, text = _decode(line[2:], "\n").partition("\t")
        return LogLine(timestamp_ms=now_ms, level=_level(level) or "info", message=text, text=text)
    if framed == _PYTHON_FRAME:
        return _python_line(_decode(line[2:], "\n"), now_ms)
    message = _decode(line, "\ufffd")
    if message[10:11] == "T" and message[23:25] == "Z\t":
        parts = message.split("\t", _NODE_FIELDS - 1)
        if len(parts) == _NODE_FIELDS and len(parts[1]) == _ID_LENGTH and (level := _level(parts[2])):
            return LogLine(timestamp_ms=_milliseconds(parts[0], now_ms), level=level, message=message, text=parts[3])
    return LogLine(timestamp_ms=now_ms, level="info", message=message, text=message)


def _python_line(message: str, now_ms: int) -> LogLine:
    parts = message.split("\t", _PYTHON_FIELDS - 1)
    level = _level(parts[0].strip("[]"))
    if len(parts) == _PYTHON_FIELDS and level:
        return LogLine(timestamp_ms=_milliseconds(parts[1], now_ms), level=level, message=message, text=parts[3])
    return LogLine(timestamp_ms=now_ms, level="info", message=message, text=message)


def _decode(line: bytes, nul: str) -> str:
    """Decode as UTF-8 with replacement; PostgreSQL keeps no NUL, so each becomes ``nul``."""
    text = line.decode("utf-8", "replace")
    return text.replace("\0", nul) if "\0" in text else text


def _level(word: str) -> str:
    lower = word.lower()
    lower = _ALIASES.get(lower, lower)
    return lower if lower in _LEVELS else ""


def _milliseconds(text: str, otherwise: int) -> int:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return otherwise
