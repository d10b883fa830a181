"""
``./tidemill user add EMAIL``: a user of the Extra Horizon dialect, with the permissions named.

Works on the database directly, so it needs ``TIDEMILL_DATABASE_URL`` or a running ``./tidemill up`` with the
same data directory.
"""

import argparse
import asyncio
import getpass
import sys

from services.reach import find_database
from shared.crypto.passwords import hash_password
from shared.database import accounts
from shared.database.pool import Database
from shared.process.settings import Settings

SHORTEST_PASSWORD = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``user`` takes."""
    parser.add_argument("what", choices=["add"])
    parser.add_argument("email")
    parser.add_argument(
        "--permission",
        action="append",
        default=[],
        metavar="NAME",
        help="e.g. EXECUTE_API_FUNCTION or EXECUTE_API_FUNCTION:my-function; may be given again",
    )


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Add a user; the password is asked for, or read from standard input when that is no terminal."""
    dsn = find_database(settings)
    password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if len(password) < SHORTEST_PASSWORD:
        print(f"the password needs at least {SHORTEST_PASSWORD} characters", file=sys.stderr)
        return 2
    print(asyncio.run(_add(dsn, arguments.email, password, arguments.permission)))
    return 0


async def _add(dsn: str, email: str, password: str, permissions: list[str]) -> str:
    db = await Database.connect(dsn, max_size=1)
    try:
        return await accounts.add_user(db, email, await asyncio.to_thread(hash_password, password), permissions)
    finally:
        await db.close()
