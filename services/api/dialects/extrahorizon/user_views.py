"""Users and roles as the users service shows them: snake_case, times in epoch milliseconds."""

from datetime import UTC, datetime, timedelta

from services.api.dialects.extrahorizon.views import View
from services.api.operations.users import Member
from shared.database.roles import Role
from shared.domain.permission import EXTRA_HORIZON_PERMISSIONS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def user(member: Member) -> View:
    """Return a user with their roles; never what they sign in with."""
    row = member.user
    return {
        "id": row.id,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "email": row.email,
        "language": row.language,
        "time_zone": row.time_zone,
        "phone_number": row.phone_number,
        "activation": row.activation,
        "roles": [role(each) for each in member.roles],
        "creation_timestamp": _epoch_ms(row.created_at),
        "update_timestamp": _epoch_ms(row.updated_at),
    }


def role(shown: Role) -> View:
    """Return a role with its permissions."""
    return {
        "id": shown.id,
        "name": shown.name,
        "description": shown.description,
        "permissions": [permission(name) for name in shown.permissions],
        "creation_timestamp": _epoch_ms(shown.created_at),
        "update_timestamp": _epoch_ms(shown.updated_at),
    }


def permission(name: str) -> View:
    """Return a permission; it is described where access is, not here."""
    return {"name": name, "description": ""}


def permissions() -> list[View]:
    """Return the permissions that mean something on this platform."""
    return [permission(name) for name in EXTRA_HORIZON_PERMISSIONS]


def _epoch_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
