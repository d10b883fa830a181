"""
The connection to RabbitMQ, kept alive by one supervised task.

A ``Session`` is one life of it: two AMQP connections (one publishes, one consumes, because a broker short of memory
or disk stops reading from those that publish, acknowledgements included) with the three channels that publish.
``Link`` makes sessions: connect, declare the topology, tell those concerned, watch; when anything of it closes
or is suspected, take all of it down and start over, with a pause that grows, until closed. What was
under way on a lost session is told at once, by ``on_down``.

Connections and channels are aio-pika's plain ones. Its robust ones are not used, because they hide what readiness
must show: reconnecting is this module's. What is hot goes by the layer below (``underlay_of``); ``publisher.py``
says why. Consumers have channels of their own (``consumer.py``) and survive a lost channel without the session being
given up.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiormq
import structlog
from aio_pika import Connection
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

from shared.bus.declare import declare_all
from shared.bus.delivery import pause_s
from shared.bus.publisher import ConfirmedPublisher, Publisher
from shared.domain.errors import UnavailableError
from shared.process.supervise import Supervisor

CONNECT_S: Final = 10.0
CLOSE_S: Final = 3.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_BLOCKED_POLL_S: Final = 0.5
_READ_BUFFER_BYTES: Final = 1024 * 1024

CHANNEL_ERRORS = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What aio-pika raises when a connection or channel is not what it was (RuntimeError: opening on a closed one)."""

_log = structlog.get_logger(__name__)


class _KnownTransport(TransportFactory):
    """Opens the transport as aiormq would, with a larger buffer, and remembers it: nothing else gives it away."""

    transport: asyncio.WriteTransport | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, writer = await factory.create(url, limit=_READ_BUFFER_BYTES, **kwargs)
        self.transport = writer.transport
        return reader, writer


class Wire:
    """One AMQP connection and its transport. ``on_closed`` is called when it is over, with the error if any."""

    def __init__(self, url: URL, on_closed: Callable[[object, BaseException | None], None]) -> None:
        self._factory = _KnownTransport()
        self._connection = Connection(url)
        # aio-pika has no parameter for it; what stands in ``kwargs`` it passes on.
        self._connection.kwargs["transport_factory"] = self._factory
        self._connection.close_callbacks.add(on_closed)
        self._underlay: aiormq.abc.AbstractConnection

    async def open(self) -> None:
        await self._connection.connect()
        assert self._connection.transport is not None
        self._underlay = self._connection.transport.connection

    @property
    def transport(self) -> asyncio.WriteTransport:
        assert self._factory.transport is not None
        return self._factory.transport

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Open a channel, bounded in time."""
        channel = self._connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        async with asyncio.timeout(CONNECT_S):
            await channel.initialize()
        return channel

    def ready_now(self) -> bool:
        """Whether ``ready`` would return at once: it suspends only while the broker blocks us."""
        waiting = self._underlay.ready()
        try:
            waiting.send(None)
        except StopIteration:
            return True
        waiting.close()
        return False

    async def close(self) -> None:
        """Say goodbye if the broker listens; hang up if it does not. Bounded in time."""
        # Hanging up is what ends a goodbye nobody answers: cancelled, aio-pika still waits for the connection's end.
        hang_up = asyncio.get_running_loop().call_later(CLOSE_S, self._hang_up)
        try:
            async with asyncio.timeout(CLOSE_S + 1):
                await self._connection.close()
        except CHANNEL_ERRORS as error:
            _log.info("amqp_connection_aborted", reason=repr(error))
        finally:
            hang_up.cancel()
            self._hang_up()

    def _hang_up(self) -> None:
        if self._factory.transport is not None:
            self._factory.transport.abort()


async def close_channel(channel: AbstractChannel) -> None:
    """Close a channel, bounded in time."""
    async with asyncio.timeout(CLOSE_S):
        await channel.close()


async def underlay_of(channel: AbstractChannel) -> aiormq.Channel:
    """Return what aio-pika's channel stands on, for what must be cheap."""
    underlay = await channel.get_underlay_channel()
    assert isinstance(underlay, aiormq.Channel)
    return underlay


class Session:
    """One life of the connection. ``lost`` is set when it is over or must be."""

    def __init__(self, url: URL, name: str) -> None:
        self.publishing = Wire(url.update_query(name=f"{name} publishing"), self._closed)
        self.consuming = Wire(url.update_query(name=f"{name} consuming"), self._closed)
        self._channels: list[AbstractChannel] = []
        self.calls_channel: aiormq.Channel
        self.calls: ConfirmedPublisher
        self.work: ConfirmedPublisher
        self.loose: Publisher
        self.blocked = False
        self.lost = asyncio.Event()
        self.reason = ""

    async def open(self) -> None:
        """Connect, declare, open the channels that publish."""
        await self.publishing.open()
        await self.consuming.open()
        await self.declare()
        transport = self.publishing.transport
        self.calls_channel = await self._channel(confirms=True)
        self.calls = ConfirmedPublisher(self.calls_channel, transport)
        self.work = ConfirmedPublisher(await self._channel(confirms=True), transport)
        self.loose = Publisher(await self._channel(confirms=False), transport)

    async def _channel(self, *, confirms: bool) -> aiormq.Channel:
        channel = await self.publishing.channel(confirms=confirms)
        channel.close_callbacks.add(self._closed)
        # Kept for that callback: from here on only the underlay is used.
        self._channels.append(channel)
        return await underlay_of(channel)

    async def declare(self) -> None:
        """Make sure that every exchange and queue is there."""
        channel = await self.consuming.channel()
        await declare_all(channel)
        await close_channel(channel)

    def suspect(self, reason: str) -> None:
        """Give this session up: something that must answer does not."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    def overdue(self, reason: str) -> None:
        """The broker owes an answer: give the session up, unless it has said that it takes nothing for now."""
        if self.publishing.ready_now():
            self.suspect(reason)

    def _closed(self, _: object, error: BaseException | None) -> None:
        self.suspect(repr(error) if isinstance(error, Exception) else "closed by the broker")

    async def watch(self) -> None:
        """Return when the session is lost; meanwhile note whether the broker blocks publishing."""
        while not self.lost.is_set():
            self.blocked = not self.publishing.ready_now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BLOCKED_POLL_S):
                    await self.lost.wait()

    async def close(self) -> None:
        """Fail what still waits for the broker, then disconnect."""
        for publisher in (self.calls, self.work) if hasattr(self, "loose") else ():
            publisher.abandon()
        await self.publishing.close()
        await self.consuming.close()


class Link:
    """
    The connection over its whole life: ``session`` is the present one, or None.

    ``on_up`` is awaited with each new session before anybody else sees it; ``on_down`` is called when it is over.
    """

    def __init__(self, url: str, *, replica_id: str, tasks: Supervisor, heartbeat_s: int) -> None:
        self._url = URL(url).update_query(heartbeat=str(heartbeat_s))
        self._replica_id, self._tasks = replica_id, tasks
        self.session: Session | None = None
        self.on_up: list[Callable[[Session], Awaitable[None]]] = []
        self.on_down: list[Callable[[], None]] = []
        self._up = asyncio.Event()
        self._reason = "not started"
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect; ``UnavailableError`` if the broker cannot be reached."""
        session = await self._connect()
        self._keeper = self._tasks.spawn("amqp connection", self._keep(session), critical=False)

    async def ready(self, timeout_s: float) -> Session:
        """Return the present session, or the next one; ``UnavailableError`` if there is none in time."""
        if self.session is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._up.wait()
        return self.present()

    def present(self) -> Session:
        """Return the present session; ``UnavailableError`` if there is none or the broker takes nothing."""
        if self.session is None:
            raise self.unavailable()
        if self.session.blocked:
            raise UnavailableError("the message broker takes no messages: it is short of memory or disk")
        return self.session

    def unavailable(self) -> UnavailableError:
        return UnavailableError("not connected to the message broker")

    def problem(self) -> str | None:
        """Return what is wrong with the connection."""
        if self.session is None:
            return f"not connected to RabbitMQ: {self._reason}"
        if self.session.blocked:
            return "RabbitMQ blocks publishing: it is short of memory or disk"
        return None

    async def close(self) -> None:
        """Disconnect for good."""
        self._closing = True
        if self._keeper is None:
            return
        if self.session is not None:
            self.session.suspect("closing")
        else:
            self._keeper.cancel()
        await asyncio.wait({self._keeper}, timeout=3 * CLOSE_S)

    async def _keep(self, session: Session) -> None:
        """Watch the session, and replace it when it is lost."""
        while True:
            await session.watch()
            self._went_down(session)
            await session.close()
            if self._closing:
                return
            session = await self._reconnect()

    async def _reconnect(self) -> Session:
        attempt = 1
        while True:
            await asyncio.sleep(pause_s(attempt, _FIRST_PAUSE_S, factor=2, most_s=_LONGEST_PAUSE_S))
            try:
                return await self._connect()
            except UnavailableError:
                attempt += 1

    async def _connect(self) -> Session:
        session = Session(self._url, self._replica_id)
        try:
            async with asyncio.timeout(CONNECT_S):
                await session.open()
                for tell in self.on_up:
                    await tell(session)
        except CHANNEL_ERRORS as error:
            self._reason = repr(error)
            _log.warning("amqp_connect_failed", reason=self._reason)
            await session.close()
            raise UnavailableError(f"the message broker cannot be reached: {self._reason}") from error
        except BaseException:
            await session.close()
            raise
        self.session = session
        self._up.set()
        _log.info("amqp_connected")
        return session

    def _went_down(self, session: Session) -> None:
        self.session = None
        self._up.clear()
        self._reason = session.reason
        if not self._closing:
            _log.warning("amqp_connection_lost", reason=session.reason)
        for tell in self.on_down:
            tell()
