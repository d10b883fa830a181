"""
What one run asks of its host: frames in, frames out, and nothing left when the run ends.

The limits here are those that the runtime itself keeps to, where a call beyond them is an error the function can
catch. A frame that breaks one was written by code that went around the runtime: nothing after it is trusted.
"""

import asyncio
from collections import deque
from contextlib import suppress

import orjson

from services.invoker.host_services.errors import InvalidArgumentError
from services.invoker.host_services.services import HostServices
from services.invoker.sandbox.channel import Channel
from services.invoker.sandbox.frames import Frame, ProtocolError, encode

MOST_CALLS = 200
AT_ONCE = 4
"""Calls under way, answers that the worker has not read yet included: together they bound our memory."""
CALL_BYTES = 1536 * 1024
"""A body of 1 MiB in base64 and what is said with it."""


def limits() -> dict[str, int]:
    """Return what the runtime is told of the limits."""
    return {"most": MOST_CALLS, "at_once": AT_ONCE, "bytes": CALL_BYTES}


class RunCalls:
    """The calls of one run."""

    __slots__ = ("_channel", "_made", "_request_id", "_running", "_services", "_unread")

    def __init__(self, services: HostServices, channel: Channel, request_id: str) -> None:
        self._services = services
        self._channel = channel
        self._request_id = request_id
        self._made = 0
        self._running: dict[int, asyncio.Task[None]] = {}
        self._unread: deque[int] = deque()

    def take(self, frame: Frame) -> None:
        """
        Begin the call that a frame asks for.

        Raises:
            ProtocolError, KeyError, TypeError, ValueError: the runtime does not write such a frame.
        """
        number = self._made + 1
        if frame.header["id"] != self._request_id or frame.header["c"] != number:
            raise ProtocolError("a call of another run, or out of turn")
        if number > MOST_CALLS or len(frame.body) > CALL_BYTES or self._outstanding() >= AT_ONCE:
            raise ProtocolError("a call beyond the limits")
        self._made = number
        try:
            asked = orjson.loads(frame.body)
        except orjson.JSONDecodeError:  # JavaScript writes what we do not read: half of a surrogate pair, great depth
            self._answer(number, orjson.dumps(InvalidArgumentError("the arguments cannot be read").told()), failed=True)
            return
        service, method, arguments = asked["service"], asked["method"], asked["args"]
        if not isinstance(arguments, list):
            raise ProtocolError("arguments are a list")

        def answer(body: bytes, failed: bool) -> None:  # noqa: FBT001 - called by one place
            self._answer(number, body, failed=failed)

        self._running[number] = self._services.begin(service, method, arguments, answer)

    def close(self) -> None:
        """End what still runs: nobody waits for it."""
        for task in self._running.values():
            task.cancel()
        self._running.clear()

    def _outstanding(self) -> int:
        while self._unread and self._unread[0] <= self._channel.sent_bytes:
            self._unread.popleft()
        return len(self._running) + len(self._unread)

    def _answer(self, number: int, body: bytes, *, failed: bool) -> None:
        self._running.pop(number, None)
        header = {"t": "answer", "id": self._request_id, "c": number}
        if failed:
            header["e"] = 1
        with suppress(OSError):  # the worker is about to be gone
            self._channel.write(encode(header, body))
            self._unread.append(self._channel.written_bytes)
