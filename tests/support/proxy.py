"""
A TCP proxy that goes wrong on demand, between a client under test and a real server.

``stall``: connections stay open and nothing moves. ``cut``: connections break and new ones are refused.
``cut_when``: cut at the moment certain bytes pass, before they are passed on. ``inject``: say to the clients what
the server did not. ``heal``: works again; what was stalled flows on, what was cut stays cut and may connect anew.
"""

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 65536


class Way(Enum):
    """Which way bytes go."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


Trap = Callable[[Way, bytes], bool]


class Proxy:
    """Forwards a free loopback port to ``host:port``; an async context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._open: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._trap: Trap | None = None
        self._server: asyncio.Server
        self.sprung = asyncio.Event()
        """Set when the trap of ``cut_when`` has cut."""

    @classmethod
    def of(cls, url: str) -> "Proxy":
        """Return a proxy for the server of ``url``."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        return cls(parts.hostname, parts.port)

    def url(self, url: str) -> str:
        """Return ``url`` with the way through this proxy."""
        parts = urlsplit(url)
        port = self._server.sockets[0].getsockname()[1]
        user = f"{parts.username}:{parts.password}@" if parts.username else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}"))

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def stall(self) -> None:
        """Let nothing through, and tell nobody."""
        self._flowing.clear()

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self._refusing = True
        for writer in list(self._open):
            writer.transport.abort()

    def cut_when(self, trap: Trap) -> None:
        """Cut when ``trap`` says so of bytes about to be passed on; they are not."""
        self.sprung.clear()
        self._trap = trap

    def inject(self, data: bytes) -> None:
        """Send these bytes to every client, as if they came from the server."""
        for client in self._clients:
            client.write(data)

    def heal(self) -> None:
        """Work as if nothing had happened."""
        self._refusing = False
        self._trap = None
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        self._flowing.set()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        upstream_reader, upstream_writer = await asyncio.open_connection(self._host, self._port)
        pair = {writer, upstream_writer}
        self._open |= pair
        self._clients.add(writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(Way.TO_SERVER, reader, upstream_writer))
                group.create_task(self._pump(Way.TO_CLIENT, upstream_reader, writer))
        finally:
            self._open -= pair
            self._clients.discard(writer)
            for each in pair:
                each.transport.abort()

    async def _pump(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                if self._trap is not None and self._trap(way, data):
                    self._trap = None
                    self.cut()
                    self.sprung.set()
                    return
                writer.write(data)
                await writer.drain()
        # One side has hung up: so does the other.
        writer.close()
