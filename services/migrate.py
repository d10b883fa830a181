"""``python -m services migrate``: what a database needs once, before services start on it as processes of their own."""

import argparse
import asyncio
import sys

from services.credentials import first_credentials
from services.prepare import prepare_database
from shared.process.settings import Settings


def main(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Prepare the database named by ``TIDEMILL_DATABASE_URL`` for the four services."""
    if settings.database.url is None:
        print("migrate needs TIDEMILL_DATABASE_URL; `./tidemill up` migrates its own database", file=sys.stderr)
        return 2
    credentials = first_credentials(settings.data.data_dir, settings.admin)
    asyncio.run(prepare_database(settings, settings.database.url.reveal(), credentials))
    print("the database is up to date", flush=True)
    return 0
