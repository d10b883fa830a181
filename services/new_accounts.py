"""
``./tidemill account``: what an operator does with accounts, which are the workspaces of the Gateways dialect.

``add NAME`` makes another one, with a project and an environment, and its first API key: it may do everything in
that account, is printed once, and kept only as a digest. ``plan SLUG PLAN`` gives one other limits, at once. Both
work on the database directly, as ``user`` does.
"""

import argparse
import asyncio
import sys

from services.reach import find_database
from shared.crypto.tokens import new_api_key, sha256_hex, shown_prefix
from shared.database import accounts, workspaces
from shared.database.pool import Database
from shared.domain.plan import PLANS
from shared.process.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``account`` takes."""
    parser.add_argument("what", choices=["add", "plan"])
    parser.add_argument("name", help="a name for the new account; with plan, the slug of one that is there")
    parser.add_argument("plan", nargs="?", choices=list(PLANS), help="with plan: what it is given")


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Add an account and print its id and its key, or give one another plan; 2 when asked for what cannot be."""
    if (arguments.what == "plan") != (arguments.plan is not None):
        print("account add NAME, or account plan SLUG PLAN", file=sys.stderr)
        return 2
    if arguments.what == "plan":
        if asyncio.run(_set_plan(find_database(settings), arguments.name, arguments.plan)):
            return 0
        print(f"there is no workspace {arguments.name}", file=sys.stderr)
        return 2
    key = new_api_key()
    account_id = asyncio.run(_add(find_database(settings), arguments.name, key))
    print(f"account {account_id}")
    print(f"API key {key}")
    return 0


async def _set_plan(dsn: str, slug: str, plan: str) -> bool:
    db = await Database.connect(dsn, max_size=1)
    try:
        return await workspaces.set_plan(db, slug, plan)
    finally:
        await db.close()


async def _add(dsn: str, name: str, key: str) -> str:
    db = await Database.connect(dsn, max_size=1)
    try:
        return (await accounts.add_account(db, name, sha256_hex(key), shown_prefix(key))).account_id
    finally:
        await db.close()
