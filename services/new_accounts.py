"""
``./tidemill account add NAME``: another account, with a project and an environment, and its first API key.

The key may do everything in that account, is printed once, and kept only as a digest. Works on the database
directly, as ``user`` does.
"""

import argparse
import asyncio

from services.reach import find_database
from shared.crypto.tokens import new_api_key, sha256_hex, shown_prefix
from shared.database import accounts
from shared.database.pool import Database
from shared.process.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``account`` takes."""
    parser.add_argument("what", choices=["add"])
    parser.add_argument("name")


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Add an account; print its id and its key."""
    key = new_api_key()
    account_id = asyncio.run(_add(find_database(settings), arguments.name, key))
    print(f"account {account_id}")
    print(f"API key {key}")
    return 0


async def _add(dsn: str, name: str, key: str) -> str:
    db = await Database.connect(dsn, max_size=1)
    try:
        return (await accounts.add_account(db, name, sha256_hex(key), shown_prefix(key))).account_id
    finally:
        await db.close()
