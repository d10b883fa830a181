"""
``./tidemill user``: users of the Extra Horizon dialect, from adding one to taking everything back.

Works on the database directly, so it needs ``TIDEMILL_DATABASE_URL`` or a running ``./tidemill up`` with the same
data directory. Users are those of the platform's own account. A running api remembers who somebody is for 30 s:
what is taken here counts no more after that at the latest.
"""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.reach import Account, add_data_dir, run_on_account
from services.roles import named_roles
from shared.crypto.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, hash_password
from shared.database import accounts, roles, users
from shared.database.access import UserRow
from shared.database.query import Comparison, Condition, ListQuery, Operator
from shared.domain.errors import NotFoundError
from shared.process.settings import Settings

_AT_ONCE = 500
_MISUSED = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``user`` takes."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="add|list|show|password|grant|revoke|remove")

    def verb(name: str, text: str, *, email: bool = True) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        add_data_dir(made)
        if email:
            made.add_argument("email")
        return made

    add = verb("add", "add a user; the password is asked for, or read from standard input when that is no terminal")
    add.add_argument(
        "--permission",
        action="append",
        default=[],
        metavar="NAME",
        help="e.g. EXECUTE_API_FUNCTION or EXECUTE_API_FUNCTION:my-function; may be given again",
    )
    add.add_argument("--role", action="append", default=[], metavar="NAME", help="a role there is; may be given again")
    verb("list", "list all users with their roles", email=False)
    verb("show", "show a user with their roles and what these allow")
    verb("password", "set another password, asked for as `add` does; whoever came in with the old one is out")
    for name, text in (("grant", "give roles to a user"), ("revoke", "take roles from a user")):
        verb(name, text).add_argument("role", nargs="+")
    verb("remove", "remove a user with all their tokens")


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    commands: Mapping[str, Callable[[Account, argparse.Namespace], Awaitable[None]]] = {
        "add": _add,
        "list": _list,
        "show": _show,
        "password": _set_password,
        "grant": _grant,
        "revoke": _revoke,
        "remove": _remove,
    }
    if arguments.what in {"add", "password"}:
        arguments.password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        if not SHORTEST_PASSWORD <= len(arguments.password) <= LONGEST_PASSWORD:
            print(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters", file=sys.stderr)
            return _MISUSED
    return run_on_account(settings, lambda account: commands[arguments.what](account, arguments))


async def _add(account: Account, arguments: argparse.Namespace) -> None:
    given = await named_roles(account, arguments.role)
    hashed = await asyncio.to_thread(hash_password, arguments.password)
    user_id = await accounts.add_user(account.db, arguments.email, hashed, arguments.permission)
    if given:
        await roles.give_roles(account.db, account.id, _with_id(user_id), given)
    print(user_id)


async def _list(account: Account, _arguments: argparse.Namespace) -> None:
    offset = 0
    while True:
        query = ListQuery(limit=_AT_ONCE, offset=offset, count=False)
        found, _ = await users.list_users(account.db, account.id, query)
        held = await roles.of_users(account.db, (user.id for user in found))
        for user in found:
            print(f"{user.id}  {user.email}  {', '.join(role.name for role in held.get(user.id, ()))}".rstrip())
        if len(found) < _AT_ONCE:
            return
        offset += _AT_ONCE


async def _show(account: Account, arguments: argparse.Namespace) -> None:
    user = await _user(account, arguments.email)
    print(f"id           {user.id}")
    print(f"email        {user.email}")
    print(f"name         {f'{user.first_name} {user.last_name}'.strip()}".rstrip())
    print(f"since        {user.created_at:%Y-%m-%d %H:%M} UTC")
    for role in (await roles.of_users(account.db, [user.id])).get(user.id, ()):
        print(f"role         {role.name}")
    for permission in user.permissions:
        print(f"permission   {permission}")


async def _set_password(account: Account, arguments: argparse.Namespace) -> None:
    user = await _user(account, arguments.email)
    await users.set_password(account.db, user.id, await asyncio.to_thread(hash_password, arguments.password))


async def _grant(account: Account, arguments: argparse.Namespace) -> None:
    user = await _user(account, arguments.email)
    await roles.give_roles(account.db, account.id, _with_id(user.id), await named_roles(account, arguments.role))


async def _revoke(account: Account, arguments: argparse.Namespace) -> None:
    user = await _user(account, arguments.email)
    await roles.take_roles(account.db, account.id, _with_id(user.id), await named_roles(account, arguments.role))


async def _remove(account: Account, arguments: argparse.Namespace) -> None:
    await users.delete_user(account.db, account.id, (await _user(account, arguments.email)).id)


async def _user(account: Account, email: str) -> UserRow:
    query = ListQuery(where=Comparison("email", Operator.EQ, email), limit=1, count=False)
    found: Sequence[UserRow] = (await users.list_users(account.db, account.id, query))[0]
    if not found:
        raise NotFoundError(f"there is no user {email}")
    return found[0]


def _with_id(user_id: str) -> Condition:
    return Comparison("id", Operator.EQ, user_id)
