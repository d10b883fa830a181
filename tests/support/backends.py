"""
The real RabbitMQ and PostgreSQL that tests and bench run on, found or started once, and ended with certainty.

RabbitMQ, in this order: ``TEST_AMQP_URL``; a container, if a Docker engine answers; the ``rabbitmq-server`` on
the PATH, started on free loopback ports in a temporary directory. PostgreSQL: ``TEST_DATABASE_URL``, else the
embedded one. When there is none the run fails and says how to get it; nothing is skipped.

``rabbitmq()`` and ``postgres()`` give one URL each, for the bench; ``Broker`` and ``DatabaseServer`` give each
test a virtual host or a database of its own, cloned from a migrated template.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import httpx

from shared.database.migrate import migrate
from shared.database.partitions import ensure_partitions
from shared.database.pool import Database
from shared.process.embedded_postgres import EmbeddedPostgres
from tests.support.background import Background
from tests.support.rabbit_server import RabbitServer

_IMAGE = "rabbitmq:4-management"
_TEMPLATE, _WITH_DAYS = "tidemill_template", "tidemill_template_days"
_HTTP_S = 30.0
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 << 30


class Broker:
    """A RabbitMQ. Virtual hosts are made through its management interface."""

    def __init__(self, amqp_url: str, management_url: str) -> None:
        self.amqp_url = amqp_url
        self._http = httpx.Client(base_url=management_url, timeout=_HTTP_S, verify=False)

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """Make a virtual host, yield the AMQP URL for it, remove it with all its queues."""
        name = f"test-{token_hex(6)}"
        self._http.put(f"/api/vhosts/{name}").raise_for_status()
        try:
            yield urlunsplit(urlsplit(self.amqp_url)._replace(path=f"/{name}"))
        finally:
            self._http.delete(f"/api/vhosts/{name}").raise_for_status()

    def virtual_hosts(self) -> set[str]:
        """Return the names of all virtual hosts."""
        return {each["name"] for each in self._http.get("/api/vhosts").raise_for_status().json()}

    def arguments(self, virtual_host_url: str, queue: str) -> dict[str, Any]:
        """Return what the broker was told of a queue when it was declared."""
        name = urlsplit(virtual_host_url).path.lstrip("/")
        told = self._http.get(f"/api/queues/{name}/{quote(queue, safe='')}").raise_for_status().json()
        arguments: dict[str, Any] = told["arguments"]
        return arguments

    def close_connections(self, virtual_host_url: str) -> int:
        """Cut every client of a virtual host from the broker's side; return how many there were."""
        name = urlsplit(virtual_host_url).path.lstrip("/")
        connections = self._http.get(f"/api/vhosts/{name}/connections").raise_for_status().json()
        for connection in connections:
            self._http.delete(f"/api/connections/{quote(connection['name'], safe='')}")
        return len(connections)


@contextmanager
def broker() -> Iterator[Broker]:
    """Yield a broker, found or started."""
    with ExitStack() as stack:
        yield _open_broker(stack)


@contextmanager
def rabbitmq() -> Iterator[str]:
    """Yield the URL of a RabbitMQ to be used alone."""
    with broker() as found, found.virtual_host() as url:
        yield url


def _open_broker(stack: ExitStack) -> Broker:
    amqp_url = os.environ.get("TEST_AMQP_URL")
    if amqp_url is not None:
        management_url = os.environ.get("TEST_AMQP_MANAGEMENT_URL") or _management_url(amqp_url, 15672)
    elif (started := _in_container(stack) or _on_this_machine(stack)) is not None:
        amqp_url, management_url = started
    else:
        raise RuntimeError(
            "the tests need a RabbitMQ: install rabbitmq-server (`./tidemill test` does it as root on Debian), "
            "start a Docker engine, or set TEST_AMQP_URL"
        )
    found = Broker(amqp_url, management_url)
    stack.callback(found.close)
    return found


def _management_url(amqp_url: str, port: int) -> str:
    parts = urlsplit(amqp_url)
    return f"http://{parts.username or 'guest'}:{parts.password or 'guest'}@{parts.hostname}:{port}"


def _in_container(stack: ExitStack) -> tuple[str, str] | None:
    """Start the image in a Docker engine, if one answers and has the image or can get it."""
    if not _docker_answers():
        return None
    from docker.errors import DockerException  # noqa: PLC0415 - most machines that run the tests have no engine
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    container = DockerContainer(_IMAGE).with_exposed_ports(5672, 15672)
    try:
        container.start()
    except DockerException:
        return None
    stack.callback(container.stop)
    host = container.get_container_host_ip()
    amqp_url = f"amqp://guest:guest@{host}:{container.get_exposed_port(5672)}/"
    management_url = _management_url(amqp_url, container.get_exposed_port(15672))
    RabbitServer.wait_until_it_answers(management_url)
    return amqp_url, management_url


def _docker_answers() -> bool:
    # The command, not the library: that one leaves a socket open when nobody answers.
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _on_this_machine(stack: ExitStack) -> tuple[str, str] | None:
    executable = RabbitServer.find()
    if executable is None:
        return None
    background = Background()
    stack.callback(background.close)
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemill-rabbit-")))
    server = RabbitServer(executable, directory)
    stack.callback(lambda: background.call(server.stop()))
    background.call(server.start())
    RabbitServer.wait_until_it_answers(server.management_url)
    return server.amqp_url, server.management_url


class DatabaseServer:
    """A PostgreSQL in which databases are made and dropped. Its methods are synchronous: any test may use them."""

    def __init__(self, background: Background, admin_url: str) -> None:
        self._background = background
        self._admin_url = admin_url
        self._admin: asyncpg.Connection[Any] | None = None
        self._has_templates = False

    def create(self, *, migrated: bool = True, days: bool = True) -> str:
        """Make a database and return its URL. Unless told otherwise it has the schema, and partitions of these days."""
        if migrated and not self._has_templates:
            self._make_templates()
        template = "template0" if not migrated else _WITH_DAYS if days else _TEMPLATE
        name = f"test_{token_hex(6)}"
        self._copy(template, name)
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database, cutting who is still connected."""
        self._execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path.lstrip('/')} WITH (FORCE)")

    def close(self) -> None:
        """Remove the templates from a server that is not ours, and leave it."""
        if self._has_templates:
            self._drop_templates()
        if self._admin is not None:
            self._background.call(self._admin.close())

    def _make_templates(self) -> None:
        self._drop_templates()
        self._copy("template0", _TEMPLATE)
        self._background.call(migrate(self._url(_TEMPLATE)))
        # Making partitions takes longer than copying them, and most tests need some.
        self._copy(_TEMPLATE, _WITH_DAYS)
        self._background.call(_add_days(self._url(_WITH_DAYS)))
        self._has_templates = True

    def _drop_templates(self) -> None:
        for name in (_TEMPLATE, _WITH_DAYS):
            self._execute(f"DROP DATABASE IF EXISTS {name}")

    def _copy(self, template: str, name: str) -> None:
        # Copying files takes a tenth of the time of writing every page of the copy to the log.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")

    def _url(self, database: str) -> str:
        return urlunsplit(urlsplit(self._admin_url)._replace(path=f"/{database}"))

    def _execute(self, statement: str) -> None:
        self._background.call(self._executed(statement))

    async def _executed(self, statement: str) -> None:
        # One connection for all: each would cost as much as making the database.
        if self._admin is None or self._admin.is_closed():
            self._admin = await asyncpg.connect(self._admin_url)
        await self._admin.execute(statement)


async def _add_days(url: str) -> None:
    db = await Database.connect(url, max_size=1)
    try:
        await ensure_partitions(db, datetime.now(UTC).date())
    finally:
        await db.close()


@contextmanager
def database_server() -> Iterator[DatabaseServer]:
    """Yield a PostgreSQL server, found or started."""
    with ExitStack() as stack:
        background = Background()
        stack.callback(background.close)
        admin_url = os.environ.get("TEST_DATABASE_URL")
        if admin_url is None:
            directory = stack.enter_context(open_directory(_memory()))
            embedded = EmbeddedPostgres(directory, durable=False)
            stack.callback(lambda: background.call(embedded.stop()))
            admin_url = background.call(embedded.start())
        server = DatabaseServer(background, admin_url)
        stack.callback(server.close)
        yield server


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of an empty database to be used alone, on a server that keeps its promises about the disk."""
    with ExitStack() as stack:
        if os.environ.get("TEST_DATABASE_URL") is not None:
            server = stack.enter_context(database_server())
            url = server.create(migrated=False)
            stack.callback(server.drop, url)
            yield url
            return
        background = Background()
        stack.callback(background.close)
        embedded = EmbeddedPostgres(stack.enter_context(open_directory()))
        stack.callback(lambda: background.call(embedded.stop()))
        yield background.call(embedded.start())


def _memory() -> Path | None:
    """Return where files are kept in memory, if there is room: a database is made there in a tenth of the time."""
    try:
        return _MEMORY if shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES else None
    except OSError:
        return None


@contextmanager
def open_directory(parent: Path | None = None) -> Iterator[Path]:
    """Yield a new temporary directory that other users can pass through: as root, PostgreSQL and sandboxes must."""
    directory = Path(tempfile.mkdtemp(prefix="tidemill-", dir=parent))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
