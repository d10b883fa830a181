"""
Bring a database to the schema this code needs: ``python -m shared.database.migrate``.

Migrations are SQL files applied by alembic, each start's all in one transaction under an advisory lock, so any
number of processes may try at once. A process that only asks ``is_current`` (every warm start) loads neither
alembic nor SQLAlchemy; ``migrate`` runs them in a process of their own, to a deadline.
"""

import asyncio
import os
import re
import sys
from pathlib import Path

import asyncpg

from shared.domain.errors import UnavailableError
from shared.process.supervise import CannotStartError

MIGRATIONS = Path(__file__).with_name("migrations")
_FROM_STDIN = "--url-from-stdin"
_VARIABLE = "TIDEMILL_DATABASE_URL"
_FILE = re.compile(r"v(\d{4})_\w+\.py")
_CONNECT_S = 10.0
_ROOT = Path(__file__).parents[2]


class MigrationError(CannotStartError):
    """The database could not be brought to this schema; the text is what the migration said."""


def head() -> str:
    """Return the newest revision this code knows."""
    names = (MIGRATIONS / "versions").iterdir()
    return max(found[1] for name in names if (found := _FILE.fullmatch(name.name)))


async def is_current(dsn: str) -> bool:
    """
    Tell whether the database has this code's schema, or a later one.

    Migrations first add and remove only a release later, so a process may start again while its successor's schema
    is there already.

    Raises:
        UnavailableError: it cannot be reached.
    """
    revision = await _revision(dsn)
    return revision is not None and revision >= head()


async def migrate(dsn: str, *, deadline_s: float = 120.0) -> None:
    """
    Apply what is missing; do nothing when nothing is.

    Raises:
        UnavailableError: the database cannot be reached.
        MigrationError: a migration failed, or took longer than ``deadline_s``. Nothing of it is left behind.
    """
    if await is_current(dsn):
        return
    # The URL may hold a password, which a command line would show to everybody: it goes through standard input.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.database.migrate",
        _FROM_STDIN,
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(deadline_s):
            _, said = await process.communicate(dsn.encode())
    except TimeoutError:
        raise MigrationError(f"the migration took longer than {deadline_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise MigrationError(said.decode("utf-8", "replace").strip())


async def _revision(dsn: str) -> str | None:
    try:
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UnavailableError(f"the database cannot be reached: {error}") from error
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return revision
    finally:
        await connection.close(timeout=_CONNECT_S)


def upgrade(dsn: str, revision: str = "head") -> None:
    """Apply migrations up to ``revision`` in this process; blocking."""
    from alembic import command  # noqa: PLC0415 - heavy, and only needed here
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["dsn"] = dsn
    command.upgrade(config, revision)


def main() -> int:
    """Migrate the database named by ``TIDEMILL_DATABASE_URL``, or on standard input; return the exit code."""
    from_stdin = sys.argv[1:] == [_FROM_STDIN]
    dsn = sys.stdin.read() if from_stdin else os.environ.get(_VARIABLE, "")  # noqa: TID251 - this is a main
    if not dsn:
        sys.stderr.write(f"{_VARIABLE} is not set: say which PostgreSQL to migrate\n")
        return 2
    upgrade(dsn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
