"""
``./tidemill signing-key rotate``: another key to sign receipts and attestations with.

The old one is retired: what it has signed still verifies. Running processes take up the new one within half a
minute. Works on the database directly, as ``user`` does, and needs the master key of the services.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack

from services.keyring import FILE_NAME, open_envelope
from services.reach import find_database
from services.signing import REFRESH_S, new_sealed_key
from shared.database import signing_keys
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.process.health import Health
from shared.process.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``signing-key`` takes."""
    parser.add_argument("what", choices=["rotate"])


def main(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Replace the key in use; print the id of the new one."""
    key_id = asyncio.run(_rotate(settings, find_database(settings)))
    print(f"signing key {key_id}: running services take it up within {REFRESH_S:g} s")
    return 0


async def _rotate(settings: Settings, dsn: str) -> str:
    own_file = settings.data.data_dir / FILE_NAME
    async with AsyncExitStack() as stack:
        envelope = open_envelope(
            settings.master_key, Health("signing-key"), stack, own_file=own_file if own_file.exists() else None
        )
        key = await new_sealed_key(envelope)
        db = await Database.connect(dsn, max_size=1)
        stack.push_async_callback(db.close)
        if not await signing_keys.replace_active(db, key):
            raise UnavailableError("somebody else has just replaced the key; look at GET /v1/attestation")
    return key.id
