"""
Request bodies of the users service: snake_case JSON in, checked fields out (contracts/extrahorizon.md section 2.4).

Every problem names its field. Unknown fields are ignored: clients send a birthday, a country, an activation mode,
and none of these means anything here.
"""

import re
from collections.abc import Mapping
from typing import Any

from services.api.dialects.extrahorizon.bodies import read_object, require, text
from services.api.operations.users import WantedUser
from shared.database.users import UserChanges
from shared.domain.errors import InvalidRequestError
from shared.domain.ids import is_record_id

BODY_BYTES = 64 * 1024
MOST_NAMES = 500
"""So many permissions or roles may one request name."""
LONGEST_NAME = 256
LONGEST_DESCRIPTION = 10_000
LONGEST_EMAIL = 256

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_TIME_ZONE = "UTC"


def read_new_user(body: bytes) -> WantedUser:
    """Return who wants to be a user."""
    data = read_object(body)
    require(data, "first_name", "last_name", "email", "password", "phone_number", "language")
    return WantedUser(
        email=_email(data),
        password=text("password", data["password"]),
        first_name=_short(data, "first_name") or "",
        last_name=_short(data, "last_name") or "",
        phone_number=_short(data, "phone_number") or "",
        language=_short(data, "language") or "",
        time_zone=_short(data, "time_zone") or _TIME_ZONE,
    )


def read_user_changes(body: bytes) -> UserChanges:
    """Return what is to be changed of a user."""
    data = read_object(body)
    return UserChanges(
        first_name=_short(data, "first_name"),
        last_name=_short(data, "last_name"),
        phone_number=_short(data, "phone_number"),
        language=_short(data, "language"),
        time_zone=_short(data, "time_zone"),
    )


def read_new_role(body: bytes) -> tuple[str, str]:
    """Return name and description of a role to be made."""
    data = read_object(body)
    require(data, "name")
    return _role_name(data) or "", _description(data) or ""


def read_role_changes(body: bytes) -> tuple[str | None, str | None]:
    """Return the name and the description a role shall have; None for what stays."""
    data = read_object(body)
    return _role_name(data), _description(data)


def read_permissions(body: bytes) -> tuple[str, ...]:
    """Return names of permissions: any text is one."""
    return tuple(_not_empty("permissions", name, LONGEST_NAME) for name in _list(read_object(body), "permissions"))


def read_role_ids(body: bytes) -> tuple[str, ...]:
    """Return ids of roles."""
    return tuple(_role_id(each) for each in _list(read_object(body), "roles"))


def _list(data: Mapping[str, Any], field: str) -> list[Any]:
    require(data, field)
    values = data[field]
    if not isinstance(values, list) or not 0 < len(values) <= MOST_NAMES:
        raise _wrong(field, f"a list of 1 to {MOST_NAMES} texts")
    return values


def _role_id(value: Any) -> str:
    role_id = text("roles", value)
    if not is_record_id(role_id):
        raise _wrong("roles", "a list of ids of roles, 24 hexadecimal digits each")
    return role_id


def _email(data: Mapping[str, Any]) -> str:
    email = text("email", data["email"])
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise _wrong("email", "an email address")
    return email


def _role_name(data: Mapping[str, Any]) -> str | None:
    return None if data.get("name") is None else _not_empty("name", data["name"], LONGEST_NAME)


def _description(data: Mapping[str, Any]) -> str | None:
    return (
        None if data.get("description") is None else _at_most("description", data["description"], LONGEST_DESCRIPTION)
    )


def _short(data: Mapping[str, Any], field: str) -> str | None:
    return None if data.get(field) is None else _at_most(field, data[field], LONGEST_NAME)


def _not_empty(field: str, value: Any, longest: int) -> str:
    if not _at_most(field, value, longest).strip():
        raise _wrong(field, "not empty")
    return str(value)


def _at_most(field: str, value: Any, longest: int) -> str:
    given = text(field, value)
    if len(given) > longest:
        raise _wrong(field, f"at most {longest} characters long")
    return given


def _wrong(field: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(f"The field {field} is expected to be {expected}.", field=field, issue=expected)
