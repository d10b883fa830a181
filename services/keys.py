"""
``./tidemill keys``: the master keys that secrets are sealed under.

``list`` tells which key is used for how many rows, ``new`` prints a fresh key, ``add`` puts one in front of those
that ``up`` keeps in its own file, ``rotate`` wraps every data key anew under the current one. ``list`` and
``rotate`` work on the database directly, as ``user`` does. docs/howto/secrets.md tells the order of things.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack

from services import keyring
from services.reach import find_database
from services.rotation import Outcome, Rotation
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import new_master_key
from shared.database import sealed_rows
from shared.database.pool import Database
from shared.process.health import Health
from shared.process.settings import Settings

_SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``keys`` takes."""
    parser.add_argument(
        "what",
        choices=["list", "new", "add", "rotate"],
        help="list: which key is used for what; new: print a fresh key; add: put a fresh key before those `up` keeps; "
        "rotate: wrap every data key anew under the current master key, may be stopped and started again",
    )


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what was asked for; 1 when rows could not be wrapped anew."""
    if arguments.what == "new":
        print(new_master_key())
        return 0
    own_file = settings.data.data_dir / keyring.FILE_NAME
    if arguments.what == "add":
        print(f"{keyring.add_key(own_file)} comes first in {own_file}: restart `up`, then `./tidemill keys rotate`")
        return 0
    outcome = asyncio.run(_on_database(settings, find_database(settings), rotate=arguments.what == "rotate"))
    for row, reason in outcome.failures.items():
        print(f"not wrapped anew: {row}: {reason}")
    return _SOME_FAILED if outcome.failures else 0


async def _on_database(settings: Settings, dsn: str, *, rotate: bool) -> Outcome:
    own_file = settings.data.data_dir / keyring.FILE_NAME
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        envelope = keyring.open_envelope(
            settings.master_key, Health("keys"), stack, own_file=own_file if own_file.exists() else None
        )
        db = await Database.connect(dsn, max_size=4)
        stack.push_async_callback(db.close)
        if rotate:
            outcome = await Rotation(db, envelope, _say).run()
            print(f"{outcome.rewrapped} data keys wrapped anew")
        for use in await sealed_rows.uses(db):
            print(f"{use.master_key_id} ({_standing(use.master_key_id, envelope)}): {use.rows} rows of {use.table}")
    return outcome


def _standing(key_id: str, envelope: Envelope) -> str:
    if key_id not in envelope.key_ids:
        return "not among the keys set here"
    return "current" if key_id == envelope.key_ids[0] else "still opens"


def _say(line: str) -> None:
    print(line, flush=True)
