"""
The command line: ``./tidemill up``, ``doctor``, ``user``, ``role``, ``application``, ``account``, ``keys``, and so on.

``up`` runs all four services in one process; ``python -m services.<name>`` runs one of them on its own.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from services import all_in_one, applications, doctor, keys, new_accounts, new_signing_key, roles, users
from services.credentials import first_credentials
from services.invoker.pool.description import EngineDescription
from services.run import with_settings
from shared.process.logging import configure
from shared.process.settings import Settings
from shared.process.supervise import Supervisor, serve

Command = Callable[[Settings, argparse.Namespace], int]


def main() -> int:
    """Run a command; return the exit code."""
    arguments = _parser().parse_args()
    command: Command = arguments.run

    def run(settings: Settings) -> int:
        configure(settings.log, service="tidemill")
        return command(settings, arguments)

    return with_settings(_environ(arguments), run)


def up(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Run everything until told to stop."""

    async def start(stack: AsyncExitStack, supervisor: Supervisor) -> all_in_one.AllInOne:
        _say("Tidemill is starting")
        running = await all_in_one.build(settings, _say, stack, supervisor)
        _say(banner(running, settings))
        return running

    return serve(start, drain_s=settings.stop.drain_s)


def migrate(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Prepare the database named by ``TIDEMILL_DATABASE_URL`` for the four services."""
    if settings.database.url is None:
        print("migrate needs TIDEMILL_DATABASE_URL; `./tidemill up` migrates its own database", file=sys.stderr)
        return 2
    credentials = first_credentials(settings.data.data_dir, settings.admin)
    asyncio.run(all_in_one.prepare_database(settings, settings.database.url.reveal(), credentials))
    _say("the database is up to date")
    return 0


def banner(running: all_in_one.AllInOne, settings: Settings) -> str:
    """Return what a newcomer needs next: the address, the credentials, three lines to paste."""
    address, known = running.address, running.credentials
    key = f"-H 'X-API-Key: {known.api_key}'"
    code = "module.exports = async ({ params, log }) => { log.info(params); return { hello: params.name } }"
    return f"""
Tidemill is up at {address}  (API page: {address}/docs)
{confinement(running.sandbox)}
  admin             {known.email}
  password          {known.password}
  API key           {known.api_key}
  OAuth client id   {known.oauth_client_id}
  OAuth 1.0 key     {known.oauth1_consumer_key}
  OAuth 1.0 secret  {known.oauth1_consumer_secret}
  kept in           {settings.data.data_dir / "credentials.json"}

Create a function, call it, see what happened:

curl -s {address}/v1/functions {key} -d '{{"name":"hello","runtime":"node18","code":"{code}"}}'
curl -s {address}/v1/functions/hello/invoke {key} -d '{{"params":{{"name":"miller"}}}}'
curl -s {address}/v1/functions/hello {key}

Ctrl-C stops it; everything is kept for the next start.
"""


def confinement(description: EngineDescription) -> str:
    """Return how functions are confined here: a line when all is well, else what is missing, too."""
    lines = [f"  functions run in  {description.summary()}"]
    for lack in description.weaknesses:
        lines += [f"    missing         {lack.missing}", f"    that means      {lack.meaning}"]
        lines += [f"    the fix         {lack.fix}"]
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, flush=True)


def _environ(arguments: argparse.Namespace) -> Mapping[str, str]:
    """Return the environment with the flags laid over it: a flag is its variable, written shorter."""
    given = {
        "TIDEMILL_HOST": arguments.host,
        "TIDEMILL_PORT": arguments.port,
        "TIDEMILL_DATA_DIR": arguments.data_dir,
    }
    return {**os.environ, **{name: value for name, value in given.items() if value is not None}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidemill", description="Self-hosted serverless functions. Settings: docs/settings.md."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    known: tuple[tuple[str, Command, str], ...] = (
        ("up", up, "run all four services in one process"),
        ("migrate", migrate, "bring a database up to date and make the first account, once before the services"),
        ("doctor", doctor.main, "say what this machine can give functions, what is missing, and the fix"),
        ("user", users.main, "manage users of the Extra Horizon dialect"),
        ("role", roles.main, "manage roles: named sets of permissions that users have"),
        ("application", applications.main, "manage the OAuth applications that users log in through"),
        ("account", new_accounts.main, "add an account and its first API key, or give one another plan"),
        ("keys", keys.main, "list, add and rotate the master keys that secrets are sealed under"),
        ("signing-key", new_signing_key.main, "replace the key that receipts and attestations are signed with"),
    )
    for name, run, text in known:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument("--host", help="address to listen on (TIDEMILL_HOST, 127.0.0.1)")
        command.add_argument("--port", help="port to listen on (TIDEMILL_PORT, 8080; 0 takes a free one)")
        command.add_argument("--data-dir", help="where everything is kept (TIDEMILL_DATA_DIR, .tidemill)")
        if name == "user":
            users.add_arguments(command)
        if name == "role":
            roles.add_arguments(command)
        if name == "application":
            applications.add_arguments(command)
        if name == "account":
            new_accounts.add_arguments(command)
        if name == "keys":
            keys.add_arguments(command)
        if name == "signing-key":
            new_signing_key.add_arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
