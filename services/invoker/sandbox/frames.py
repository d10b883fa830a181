r"""
The frames between a worker and its supervisor: one JSON header line, then ``n`` raw bytes.

::

    {"t":"run","id":"...","ms":3000,"n":17}\n{"who":"somebody"}

The supervisor never parses an event or a result: both are the raw bytes. Types to the worker: ``load`` (body:
the function as JSON), ``run`` (body: the event), ``answer`` (body: what a call was answered, or with ``e`` the error,
as JSON). From the worker: ``hello``, ``loaded``, ``call`` (body: service, method and arguments as JSON; ``c`` counts
the calls of a run), ``done`` (body: the result), ``raised`` (body: name, message and stack as JSON), ``large`` (the
result's size, no body); after one of these three with ``r`` in its header, ``ready``.

``FrameReader`` is pure and does not trust its input: user code can write to the socket too.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

_MAX_HEADER = 4096


class ProtocolError(Exception):
    """The other side wrote what is not a frame, or one larger than allowed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its type, its header and its body."""

    type: str
    header: dict[str, Any]
    body: bytes


def encode(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    return json.dumps({**header, "n": len(body)}, separators=(",", ":")).encode() + b"\n" + body


class FrameReader:
    """Makes frames of bytes as they arrive; bodies larger than ``max_body`` are refused unread."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._header: dict[str, Any] | None = None
        self._needed = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """
        Yield the frames that ``data`` completes.

        Raises:
            ProtocolError: not a frame; nothing after it can be trusted.
        """
        if not self._buffer and self._header is None:
            # Nearly always one read is one whole frame: no buffer then.
            end = data.find(b"\n")
            if 0 < end <= _MAX_HEADER:
                header = self._read_header(data[:end])
                if len(data) - end - 1 == header["n"]:
                    yield Frame(header["t"], header, data[end + 1 :])
                    return
        self._buffer += data
        yield from self._drain()

    def _drain(self) -> Iterator[Frame]:
        while True:
            if self._header is None:
                end = self._buffer.find(b"\n", 0, _MAX_HEADER + 1)
                if end < 0:
                    if len(self._buffer) > _MAX_HEADER:
                        raise ProtocolError("a header line is too long")
                    return
                self._header = self._read_header(bytes(self._buffer[:end]))
                self._needed = self._header["n"]
                del self._buffer[: end + 1]
            if len(self._buffer) < self._needed:
                return
            header, body = self._header, bytes(self._buffer[: self._needed])
            del self._buffer[: self._needed]
            self._header = None
            yield Frame(header["t"], header, body)

    def _read_header(self, line: bytes) -> dict[str, Any]:
        try:
            header = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ProtocolError("a header line is not JSON") from error
        if not isinstance(header, dict) or not isinstance(header.get("t"), str):
            raise ProtocolError("a header has no type")
        size = header.get("n")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= self._max_body:
            raise ProtocolError(f"a body of {size!r} bytes is not allowed")
        return header
