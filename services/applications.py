"""
``./tidemill application``: OAuth applications, through which users of the Extra Horizon dialect log in.

Works on the database as ``user`` does. A key and its secret are printed once; of the secret a digest is kept, or for
OAuth 1.0, which signs with it, the secret itself sealed under the master key that the services have. What is removed
here counts no more after 30 s at the latest.
"""

import argparse
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from services import keyring
from services.reach import Account, add_data_dir, run_on_account
from shared.crypto.tokens import new_token, sha256_hex
from shared.database import application_records, applications
from shared.database.accounts import FIRST_VERSION
from shared.database.applications import NewApplication, NewClient, NewConsumer
from shared.database.query import ListQuery
from shared.domain.errors import NotFoundError
from shared.domain.ids import new_record_id
from shared.process.health import Health
from shared.process.settings import Settings

_AT_ONCE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``application`` takes."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="add|list|remove")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        add_data_dir(made)
        return made

    add = verb("add", "add an application; prints its key, and its secret if it has one, which is shown only now")
    add.add_argument("name")
    add.add_argument(
        "--type",
        choices=["oauth2", "oauth1"],
        default="oauth2",
        help="oauth2: users' tokens, for the SDK (default); oauth1: signed requests, for the CLI and for functions",
    )
    add.add_argument(
        "--confidential", action="store_true", help="an oauth2 application that can keep a secret, and has to show it"
    )
    add.add_argument(
        "--redirect-uri", action="append", default=[], metavar="URI", help="where codes may be sent; may be given again"
    )
    verb("list", "list all applications with their keys")
    verb("remove", "remove an application with everything that was issued to it").add_argument("id")


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    commands: Mapping[str, Callable[[Account, argparse.Namespace], Awaitable[None]]] = {
        "add": partial(_add, settings),
        "list": _list,
        "remove": _remove,
    }
    return run_on_account(settings, lambda account: commands[arguments.what](account, arguments))


async def _add(settings: Settings, account: Account, arguments: argparse.Namespace) -> None:
    application = NewApplication(
        id=new_record_id(),
        account_id=account.id,
        environment_id=account.environment_id,
        type=arguments.type,
        name=arguments.name,
        redirect_uris=tuple(arguments.redirect_uri),
        confidential=arguments.confidential,
    )
    signs = application.type == "oauth1"
    key, secret = new_token(), new_token() if signs or application.confidential else None
    if signs and secret is not None:
        consumer = await _consumer(settings, application.id, key, secret)
        await applications.insert_application(account.db, application)
        await applications.insert_consumer(account.db, consumer)
    else:
        client = NewClient(
            id=new_record_id(),
            application_id=application.id,
            name=FIRST_VERSION,
            client_id=key,
            client_secret_sha256=None if secret is None else sha256_hex(secret),
        )
        await applications.insert_application(account.db, application)
        await applications.insert_client(account.db, client)
    print(f"id      {application.id}")
    print(f"key     {key}")
    if secret is not None:
        print(f"secret  {secret}")


async def _consumer(settings: Settings, application_id: str, key: str, secret: str) -> NewConsumer:
    """Return what is kept of a key that signs; raise ``UnavailableError`` without a master key to seal its secret."""
    id_ = new_record_id()
    own_file = settings.data.data_dir / keyring.FILE_NAME
    async with AsyncExitStack() as stack:
        envelope = keyring.open_envelope(
            settings.master_key, Health("application"), stack, own_file=own_file if own_file.exists() else None
        )
        sealed = await envelope.seal(secret.encode(), id_)
    return NewConsumer(id=id_, application_id=application_id, name=FIRST_VERSION, consumer_key=key, sealed=sealed)


async def _list(account: Account, _arguments: argparse.Namespace) -> None:
    offset = 0
    while True:
        query = ListQuery(limit=_AT_ONCE, offset=offset, count=False)
        found, _ = await application_records.list_applications(account.db, account.id, query, whole=True)
        for application in found:
            keys = ", ".join(version.key for version in application.versions)
            print(f"{application.id}  {application.type}  {application.name}  {keys}".rstrip())
        if len(found) < _AT_ONCE:
            return
        offset += _AT_ONCE


async def _remove(account: Account, arguments: argparse.Namespace) -> None:
    if await application_records.remove_application(account.db, account.id, arguments.id) is None:
        raise NotFoundError(f"there is no application {arguments.id}")
