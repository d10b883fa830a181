"""
The command line: ``./tidemill up``, ``doctor``, ``user``, ``role``, ``application``, ``account``, ``keys``, and so on.

``up`` runs all four services in one process; ``python -m services.<name>`` runs one of them on its own. A command is
a module beside this one with ``main`` and, if it takes more than every command, ``add_arguments``. Only the command
that was asked for is imported: importing everything takes longer than most commands do.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from services.starting import with_settings
from shared.process.logging import configure
from shared.process.settings import Settings

Command = Callable[[Settings, argparse.Namespace], int]

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("up", "run all four services in one process"),
    "migrate": ("migrate", "bring a database up to date and make the first account, once before the services"),
    "doctor": ("doctor", "say what this machine can give functions, what is missing, and the fix"),
    "user": ("users", "manage users of the Extra Horizon dialect"),
    "role": ("roles", "manage roles: named sets of permissions that users have"),
    "application": ("applications", "manage the OAuth applications that users log in through"),
    "account": ("new_accounts", "add an account and its first API key, or give one another plan"),
    "keys": ("keys", "list, add and rotate the master keys that secrets are sealed under"),
    "signing-key": ("new_signing_key", "replace the key that receipts and attestations are signed with"),
}
"""The module and the help of each command."""


def main() -> int:
    """Run a command; return the exit code."""
    arguments = parse(sys.argv[1:])
    command: Command = arguments.run

    def run(settings: Settings) -> int:
        configure(settings.log, service="tidemill")
        return command(settings, arguments)

    return with_settings(_environ(arguments), run)


def _environ(arguments: argparse.Namespace) -> Mapping[str, str]:
    """Return the environment with the flags laid over it: a flag is its variable, written shorter."""
    given = {
        "TIDEMILL_HOST": arguments.host,
        "TIDEMILL_PORT": arguments.port,
        "TIDEMILL_DATA_DIR": arguments.data_dir,
    }
    return {**os.environ, **{name: value for name, value in given.items() if value is not None}}


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return what was typed, with the command as ``run``; what makes no sense is told, and ends the process."""
    parser = argparse.ArgumentParser(
        prog="tidemill", description="Self-hosted serverless functions. Settings: docs/settings.md."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--host", help="address to listen on (TIDEMILL_HOST, 127.0.0.1)")
        command.add_argument("--port", help="port to listen on (TIDEMILL_PORT, 8080; 0 takes a free one)")
        command.add_argument("--data-dir", help="where everything is kept (TIDEMILL_DATA_DIR, .tidemill)")
        if name in words[:1]:
            found = import_module(f"services.{module}")
            command.set_defaults(run=found.main)
            if hasattr(found, "add_arguments"):
                found.add_arguments(command)
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
