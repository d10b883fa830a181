"""
Ways to take a broker or a database away from running services and to give it back, from synchronous tests.

``StallingDatabase`` is a TCP way to a PostgreSQL, which itself may listen on a unix socket only. ``RestartingBroker``
is a RabbitMQ of its own that is killed and started again with its data, or, where no server is installed and the
session's broker is used, one whose connections are all cut and refused.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from tests.support.backends import Broker
from tests.support.background import Background
from tests.support.proxy import Proxy
from tests.support.rabbit_server import RabbitServer

_CHUNK = 65536


@dataclass(kw_only=True)
class StallingDatabase:
    """``url`` leads to the database through a proxy that can be made to stall."""

    url: str
    _proxy: Proxy
    _background: Background

    def stall(self) -> None:
        """Keep every connection open and let nothing through."""
        self._background.call(_done(self._proxy.stall))

    def heal(self) -> None:
        """Let everything flow again."""
        self._background.call(_done(self._proxy.heal))


@contextmanager
def stalling_database(database_url: str) -> Iterator[StallingDatabase]:
    """Yield a way to a database that can stall."""
    with ExitStack() as stack:
        background = Background()
        stack.callback(background.close)
        opened = AsyncExitStack()
        stack.callback(lambda: background.call(opened.aclose()))
        proxy, url = background.call(way_to(database_url, opened))
        yield StallingDatabase(url=url, _proxy=proxy, _background=background)


class RestartingBroker:
    """A broker that can be away for a while."""

    def __init__(self, url: str, background: Background, server: "RabbitServer | Proxy") -> None:
        self.url = url
        self._background = background
        self._server = server

    def take_away(self) -> None:
        """Kill it, or cut every connection and refuse new ones."""
        if isinstance(self._server, Proxy):
            self._background.call(_done(self._server.cut))
        else:
            self._background.call(self._server.stop())

    def give_back(self) -> None:
        """Start it again with its data; return when it answers."""
        if isinstance(self._server, Proxy):
            self._background.call(_done(self._server.heal))
        else:
            self._background.call(self._server.start())
            RabbitServer.wait_until_it_answers(self._server.management_url)


@contextmanager
def restarting_broker(directory: Path, request: pytest.FixtureRequest) -> Iterator[RestartingBroker]:
    """Yield a broker of its own in ``directory``, or a way to the session's where none is installed."""
    executable = RabbitServer.find()
    with ExitStack() as stack:
        background = Background()
        stack.callback(background.close)
        if executable is None:
            broker: Broker = request.getfixturevalue("broker")
            url = stack.enter_context(broker.virtual_host())
            proxy = Proxy.of(url)
            background.call(proxy.__aenter__())
            stack.callback(lambda: background.call(proxy.__aexit__(None, None, None)))
            yield RestartingBroker(proxy.url(url), background, proxy)
            return
        server = RabbitServer(executable, directory)
        stack.callback(lambda: background.call(server.stop()))
        background.call(server.start())
        RabbitServer.wait_until_it_answers(server.management_url)
        yield RestartingBroker(server.amqp_url, background, server)


async def _done(step: Callable[[], None]) -> None:
    step()


async def way_to(database_url: str, opened: AsyncExitStack) -> tuple[Proxy, str]:
    """Return an open proxy to a database, and the URL through it; what it opens is entered into the stack."""
    parts = urlsplit(database_url)
    directories = parse_qs(parts.query).get("host")
    if directories is None:
        proxy = await opened.enter_async_context(Proxy.of(database_url))
        return proxy, proxy.url(database_url)
    path = f"{directories[0]}/.s.PGSQL.5432"
    bridge = await asyncio.start_server(lambda reader, writer: _bridge(path, reader, writer), "127.0.0.1", 0)
    await opened.enter_async_context(bridge)
    host, port = bridge.sockets[0].getsockname()[:2]
    proxy = await opened.enter_async_context(Proxy(host, port))
    through = urlsplit(proxy.url(f"postgresql://{host}:{port}/"))
    user = parts.username or "postgres"
    return proxy, urlunsplit(("postgresql", f"{user}@{through.netloc}", parts.path, "", ""))


async def _bridge(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Join a TCP connection to a unix socket until either side ends."""
    server_reader, server_writer = await asyncio.open_unix_connection(path)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, server_writer))
            group.create_task(_pump(server_reader, writer))
    finally:
        for each in (writer, server_writer):
            each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
