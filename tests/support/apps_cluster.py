"""
The four services as separate processes that can be killed, stopped and started again, one by one, by name.

``platform.separate`` is for tests that only use them; this is for tests that break them.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.database.execution_records import LedgerRow, ledger
from shared.database.pool import Database
from tests.support.platform import CREDENTIALS, START_S, UNLIMITED, Platform, spawn, start_service

QUIET = {"TIDEMILL_STEM_CELLS_NODE": "1", "TIDEMILL_STEM_CELLS_PYTHON": "0", "TIDEMILL_DRAIN_S": "20"}


@dataclass(kw_only=True)
class Cluster:
    """A running platform of separate processes, and the way to break it."""

    platform: Platform
    database_url: str
    _environ: Mapping[str, str]
    _directory: Path
    _stack: ExitStack

    def start(self, name: str) -> None:
        """Start a service, for the first time or again, and wait until it is ready."""
        address = start_service(self.platform, name, self._environ, self._directory, self._stack)
        if name == "api":
            self.platform.address = address

    def kill(self, name: str) -> None:
        """End a service as a crash would."""
        self.platform.processes[name].kill()

    def stop(self, name: str) -> None:
        """Ask a service to drain and leave; fail unless it says that it left in order."""
        code = self.platform.processes[name].stop()
        assert code == 0, f"{name} ended with {code}:\n{self.platform.processes[name].log_text()[-4000:]}"

    def ledger(self) -> list[LedgerRow]:
        """Return what became of all accepted executions, by function."""
        return asyncio.run(_ledger(self.database_url))


@contextmanager
def cluster(
    directory: Path, amqp_url: str, database_url: str, environ: Mapping[str, str] | None = None, *, invokers: int = 1
) -> Iterator[Cluster]:
    """Migrate the database and start the services on it."""
    shared = {
        **CREDENTIALS,
        **UNLIMITED,
        **QUIET,
        "TIDEMILL_AMQP_URL": amqp_url,
        "TIDEMILL_DATABASE_URL": database_url,
        **(environ or {}),
    }
    own = {"TIDEMILL_DATA_DIR": str(directory / "migrate")}
    migration = spawn("migrate", ["services", "migrate"], {**shared, **own}, directory)
    assert migration.popen.wait(START_S) == 0, migration.log_text()[-4000:]
    with ExitStack() as stack:
        running = Cluster(
            platform=Platform(address=""),
            database_url=database_url,
            _environ=shared,
            _directory=directory,
            _stack=stack,
        )
        for name in ("logger", "deployer", *(f"invoker-{number}" for number in range(invokers)), "api"):
            running.start(name)
        yield running


async def _ledger(database_url: str) -> list[LedgerRow]:
    db = await Database.connect(database_url, max_size=1)
    try:
        return await ledger(db)
    finally:
        await db.close()
