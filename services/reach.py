"""
What commands work on.

The database the settings name, or that of a running ``./tidemill up``; and in it the platform's own account.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.database import accounts
from shared.database.pool import Database
from shared.domain.errors import PlatformError
from shared.process.embedded_postgres import running_dsn
from shared.process.settings import Settings

_REFUSED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The platform's own account in an open database, and its default environment."""

    db: Database
    id: str
    environment_id: str


def find_database(settings: Settings) -> str:
    """
    Return where the database is.

    Raises:
        OSError: none is named, and none runs on this data directory.
    """
    if settings.database.url is not None:
        return settings.database.url.reveal()
    dsn = running_dsn(settings.data.data_dir / "postgres")
    if dsn is None:
        raise ConnectionError(
            f"no database: start `./tidemill up` with data directory {settings.data.data_dir}, "
            "or set TIDEMILL_DATABASE_URL"
        )
    return dsn


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Let ``--data-dir`` stand behind a verb, too; before it, it is the command's own."""
    parser.add_argument("--data-dir", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run_on_account(settings: Settings, work: Callable[[Account], Awaitable[None]]) -> int:
    """
    Do something with the platform's own account; what is refused is said in words.

    Raises:
        OSError: there is no database.
    """
    dsn = find_database(settings)

    async def run() -> None:
        db = await Database.connect(dsn, max_size=1)
        try:
            environment = await accounts.default_environment(db)
            await work(Account(db=db, id=environment.account_id, environment_id=environment.id))
        finally:
            await db.close()

    try:
        asyncio.run(run())
    except PlatformError as error:
        print(f"tidemill: {error.message}", file=sys.stderr)
        return _REFUSED
    return 0
