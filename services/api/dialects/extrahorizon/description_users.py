"""The OpenAPI text of users, roles and permissions."""

from services.api.dialects.extrahorizon import user_bodies
from services.api.dialects.extrahorizon.schema import (
    ID,
    TEXT,
    WHOLE,
    Object,
    list_of,
    object_of,
    operation,
    page_of,
    ref,
)
from shared.crypto.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD

USERS = "/users/v1"
ME = USERS + "/me"
USER = USERS + "/{id}"
REGISTER = USERS + "/register"
PERMISSIONS = USERS + "/permissions"
ROLES = USERS + "/roles"
ROLE = ROLES + "/{id}"
ADD_PERMISSIONS = ROLES + "/add_permissions"
REMOVE_PERMISSIONS = ROLES + "/remove_permissions"
ADD_ROLES = USERS + "/add_roles"
REMOVE_ROLES = USERS + "/remove_roles"

_MOMENT: Object = {**WHOLE, "description": "Milliseconds since 1970."}
_NAME: Object = {**TEXT, "minLength": 1, "maxLength": user_bodies.LONGEST_NAME}
_DESCRIPTION: Object = {**TEXT, "maxLength": user_bodies.LONGEST_DESCRIPTION}
_SHORT: Object = {**TEXT, "maxLength": user_bodies.LONGEST_NAME}
_PERSON: Object = {
    "first_name": _SHORT,
    "last_name": _SHORT,
    "phone_number": _SHORT,
    "language": _SHORT,
    "time_zone": _SHORT,
}
_NEW_USER: Object = {
    "email": {**TEXT, "format": "email", "maxLength": user_bodies.LONGEST_EMAIL},
    "password": {**TEXT, "minLength": SHORTEST_PASSWORD, "maxLength": LONGEST_PASSWORD},
    **_PERSON,
}
_STAMPS: Object = {"creation_timestamp": _MOMENT, "update_timestamp": _MOMENT}

USER_SCHEMAS: Object = {
    "ExtraHorizonPermission": object_of({"name": TEXT, "description": TEXT}),
    "ExtraHorizonRole": object_of(
        {
            "id": ID,
            "name": TEXT,
            "description": TEXT,
            "permissions": list_of(ref("ExtraHorizonPermission")),
            **_STAMPS,
        }
    ),
    "ExtraHorizonUser": object_of(
        {
            "id": ID,
            "email": TEXT,
            **_PERSON,
            "activation": {"type": "boolean"},
            "roles": list_of(ref("ExtraHorizonRole")),
            **_STAMPS,
        }
    ),
}

_AFFECTED = ref("ExtraHorizonAffected")
_USER, _ROLE = ref("ExtraHorizonUser"), ref("ExtraHorizonRole")
_FILTER = "The query is RQL: conditions, `sort`, `limit`, `select`."
_CHOICE = "The query is RQL and says which ones: conditions alone, at least one, e.g. `?eq(name,readers)`."


def _names(field: str, items: Object) -> Object:
    return object_of({field: {**list_of(items), "minItems": 1, "maxItems": user_bodies.MOST_NAMES}})


OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", USERS): operation("users", "List users", page_of("ExtraHorizonUser"), more=_FILTER),
    ("GET", ME): operation("me", "The calling user", _USER),
    ("GET", USER): operation("user", "Show a user", _USER, more="Everybody may see themselves."),
    ("PUT", USER): operation(
        "update-user", "Change a user", _USER, body=object_of(_PERSON, ()), more="Everybody may change themselves."
    ),
    ("DELETE", USER): operation(
        "delete-user", "Remove a user with all their tokens", _AFFECTED, more="Everybody may remove themselves."
    ),
    ("POST", REGISTER): {
        **operation(
            "register",
            "Make a user",
            _USER,
            body=object_of(_NEW_USER, tuple(name for name in _NEW_USER if name != "time_zone")),
            more="Without `UPDATE_USER` only where TIDEMILL_REGISTRATION is `open`. A new user has no permission.",
        ),
        "security": [{}, {"ExtraHorizonToken": []}, {"ExtraHorizonSignature": []}],
    },
    ("GET", PERMISSIONS): {
        **operation("permissions", "List the permissions that mean something here", page_of("ExtraHorizonPermission")),
        "security": [],
    },
    ("GET", ROLES): operation("roles", "List roles", page_of("ExtraHorizonRole"), more=_FILTER),
    ("POST", ROLES): operation(
        "create-role",
        "Make a role without permissions",
        _ROLE,
        body=object_of({"name": _NAME, "description": _DESCRIPTION}, ("name",)),
    ),
    ("PUT", ROLE): operation(
        "update-role", "Change a role", _ROLE, body=object_of({"name": _NAME, "description": _DESCRIPTION}, ())
    ),
    ("DELETE", ROLES): operation("delete-roles", "Remove roles, from their users too", _AFFECTED, more=_CHOICE),
    ("POST", ADD_PERMISSIONS): operation(
        "add-permissions",
        "Add permissions to roles",
        _AFFECTED,
        body=_names("permissions", _NAME),
        more=f"{_CHOICE} Any text is a permission.",
    ),
    ("POST", REMOVE_PERMISSIONS): operation(
        "remove-permissions",
        "Take permissions from roles",
        _AFFECTED,
        body=_names("permissions", _NAME),
        more=_CHOICE,
    ),
    ("POST", ADD_ROLES): operation(
        "add-roles", "Give roles to users", _AFFECTED, body=_names("roles", ID), more=_CHOICE
    ),
    ("POST", REMOVE_ROLES): operation(
        "remove-roles", "Take roles from users", _AFFECTED, body=_names("roles", ID), more=_CHOICE
    ),
}
