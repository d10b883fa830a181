"""
``./tidemill role``: named sets of permissions, to be given to users by ``./tidemill user grant``.

Works on the database as ``user`` does, and what is taken here counts no more after 30 s at the latest, too. Any text
is a permission; those that mean something here are in ``docs/howto/users-and-roles.md``.
"""

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.reach import Account, add_data_dir, run_on_account
from shared.database import roles
from shared.database.query import Comparison, ListQuery, Operator, Sort
from shared.domain.errors import NotFoundError
from shared.domain.ids import new_record_id
from shared.process.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``role`` takes."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="add|list|show|allow|deny|remove")

    def verb(name: str, text: str, *, role: bool = True) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        add_data_dir(made)
        if role:
            made.add_argument("name")
        return made

    add = verb("add", "add a role")
    add.add_argument("--description", default="")
    add.add_argument("--permission", action="append", default=[], metavar="NAME", help="may be given again")
    verb("list", "list all roles", role=False)
    verb("show", "show a role with its permissions")
    verb("allow", "add permissions to a role").add_argument("permission", nargs="+")
    verb("deny", "take permissions from a role").add_argument("permission", nargs="+")
    verb("remove", "remove a role, also from its users")


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    commands: Mapping[str, Callable[[Account, argparse.Namespace], Awaitable[None]]] = {
        "add": _add,
        "list": _list,
        "show": _show,
        "allow": _allow,
        "deny": _deny,
        "remove": _remove,
    }
    return run_on_account(settings, lambda account: commands[arguments.what](account, arguments))


async def named_roles(account: Account, names: Sequence[str]) -> list[str]:
    """Return the ids of roles; raise ``NotFoundError`` naming the first there is not."""
    return [(await _role(account, name)).id for name in names]


async def _add(account: Account, arguments: argparse.Namespace) -> None:
    role = await roles.add_role(account.db, new_record_id(), account.id, arguments.name, arguments.description)
    if arguments.permission:
        await roles.add_permissions(account.db, account.id, _named(role.name), arguments.permission)
    print(role.id)


async def _list(account: Account, _arguments: argparse.Namespace) -> None:
    query = ListQuery(sort=(Sort("name"),), limit=roles.MOST_ROLES, count=False)
    for role in (await roles.list_roles(account.db, account.id, query))[0]:
        print(f"{role.id}  {role.name}  {role.description}".rstrip())


async def _show(account: Account, arguments: argparse.Namespace) -> None:
    role = await _role(account, arguments.name)
    print(f"id           {role.id}")
    print(f"name         {role.name}")
    print(f"description  {role.description}".rstrip())
    for permission in role.permissions:
        print(f"permission   {permission}")


async def _allow(account: Account, arguments: argparse.Namespace) -> None:
    role = await _role(account, arguments.name)
    await roles.add_permissions(account.db, account.id, _named(role.name), arguments.permission)


async def _deny(account: Account, arguments: argparse.Namespace) -> None:
    role = await _role(account, arguments.name)
    await roles.remove_permissions(account.db, account.id, _named(role.name), arguments.permission)


async def _remove(account: Account, arguments: argparse.Namespace) -> None:
    role = await _role(account, arguments.name)
    await roles.delete_roles(account.db, account.id, _named(role.name))


async def _role(account: Account, name: str) -> roles.Role:
    found = await roles.find_by_name(account.db, account.id, name)
    if found is None:
        raise NotFoundError(f"there is no role {name}")
    return found


def _named(name: str) -> Comparison:
    return Comparison("name", Operator.EQ, name)
