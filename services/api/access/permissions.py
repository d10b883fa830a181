"""
Who may do what: the one place that knows every permission name.

An API key carries the four names of contracts/neo.md section 2; a user carries the names of
contracts/extrahorizon.md section 7, some of which may be narrowed to one function by ``:<function name>``; a member
of a workspace has a role (``shared.domain.workspace``) and may be narrowed to some places.
Calling an API function and direct execution are also opened by the function's permission mode: ``public`` to
anybody, ``allUsers`` to any authenticated user.
"""

from collections.abc import Mapping

from shared.domain.errors import ForbiddenError, UnauthenticatedError
from shared.domain.function import Function, PermissionMode
from shared.domain.identity import Action, Identity
from shared.domain.workspace import Membership, Permission

_ADMIN = "admin"

_KEY: Mapping[Action, str] = {
    Action.LIST_FUNCTIONS: "read",
    Action.READ_FUNCTION: "read",
    Action.CREATE_FUNCTION: "write",
    Action.UPDATE_FUNCTION: "write",
    Action.DELETE_FUNCTION: "admin",
    Action.INVOKE_FUNCTION: "execute",
    Action.CALL_API_FUNCTION: "execute",
    Action.EXECUTE_FUNCTION: "execute",
    Action.READ_EXECUTIONS: "read",
    Action.READ_API_REQUESTS: "read",
    Action.READ_API_REQUEST_LOGS: "read",
    Action.READ_TASKS: "read",
    Action.CREATE_TASK: "execute",
    Action.CANCEL_TASK: "execute",
    Action.READ_TASK_LOGS: "read",
    Action.READ_SCHEDULES: "read",
    Action.CREATE_SCHEDULE: "write",
    Action.DELETE_SCHEDULE: "write",
    Action.READ_SECRETS: "read",
    Action.WRITE_SECRETS: "write",
    Action.DELETE_SECRET: "admin",
    Action.MANAGE_KEYS: "admin",
    Action.READ_USERS: "admin",
    Action.UPDATE_USER: "admin",
    Action.DELETE_USER: "admin",
    Action.READ_ROLES: "admin",
    Action.CREATE_ROLE: "admin",
    Action.UPDATE_ROLE: "admin",
    Action.DELETE_ROLES: "admin",
    Action.ADD_ROLE_PERMISSIONS: "admin",
    Action.REMOVE_ROLE_PERMISSIONS: "admin",
    Action.GIVE_ROLES: "admin",
    Action.TAKE_ROLES: "admin",
    Action.READ_APPLICATIONS: "admin",
    Action.CREATE_APPLICATION: "admin",
    Action.UPDATE_APPLICATION: "admin",
    Action.DELETE_APPLICATION: "admin",
    Action.READ_AUTHORIZATIONS: "admin",
    Action.DELETE_AUTHORIZATIONS: "admin",
}

_USER: Mapping[Action, str] = {
    Action.LIST_FUNCTIONS: "VIEW_TASK_FUNCTIONS",
    Action.READ_FUNCTION: "VIEW_TASK_FUNCTION_DETAILS",
    Action.CREATE_FUNCTION: "CREATE_TASK_FUNCTION",
    Action.UPDATE_FUNCTION: "UPDATE_TASK_FUNCTION",
    Action.DELETE_FUNCTION: "DELETE_TASK_FUNCTION",
    Action.INVOKE_FUNCTION: "EXECUTE_TASK_FUNCTION",
    Action.CALL_API_FUNCTION: "EXECUTE_API_FUNCTION",
    Action.EXECUTE_FUNCTION: "EXECUTE_TASK_FUNCTION",
    Action.READ_EXECUTIONS: "VIEW_TASKS",
    Action.READ_API_REQUESTS: "VIEW_API_FUNCTION_REQUESTS",
    Action.READ_API_REQUEST_LOGS: "VIEW_API_FUNCTION_REQUEST_LOGS",
    Action.READ_TASKS: "VIEW_TASKS",
    Action.CREATE_TASK: "CREATE_TASKS",
    Action.CANCEL_TASK: "CANCEL_TASKS",
    Action.READ_TASK_LOGS: "VIEW_TASK_LOGS",
    Action.READ_SCHEDULES: "VIEW_TASK_SCHEDULES",
    Action.CREATE_SCHEDULE: "CREATE_TASK_SCHEDULE",
    Action.DELETE_SCHEDULE: "DELETE_TASK_SCHEDULE",
    Action.READ_USERS: "VIEW_USER",
    Action.UPDATE_USER: "UPDATE_USER",
    Action.DELETE_USER: "DELETE_USER",
    Action.READ_ROLES: "VIEW_ROLE",
    Action.CREATE_ROLE: "CREATE_ROLE",
    Action.UPDATE_ROLE: "UPDATE_ROLE",
    Action.DELETE_ROLES: "DELETE_ROLE",
    Action.ADD_ROLE_PERMISSIONS: "ADD_ROLE_PERMISSION",
    Action.REMOVE_ROLE_PERMISSIONS: "REMOVE_ROLE_PERMISSION",
    Action.GIVE_ROLES: "ADD_ROLE_TO_USER",
    Action.TAKE_ROLES: "REMOVE_ROLE_FROM_USER",
    Action.READ_APPLICATIONS: "VIEW_APPLICATIONS",
    Action.CREATE_APPLICATION: "CREATE_APPLICATIONS",
    Action.UPDATE_APPLICATION: "UPDATE_APPLICATIONS",
    Action.DELETE_APPLICATION: "DELETE_APPLICATIONS",
    Action.READ_AUTHORIZATIONS: "VIEW_AUTHORIZATIONS",
    Action.DELETE_AUTHORIZATIONS: "DELETE_AUTHORIZATIONS",
}

_MEMBER: Mapping[Action, Permission] = {
    Action.LIST_FUNCTIONS: Permission.VIEW_RESOURCES,
    Action.READ_FUNCTION: Permission.VIEW_RESOURCES,
    Action.CREATE_FUNCTION: Permission.CREATE_RESOURCES,
    Action.UPDATE_FUNCTION: Permission.UPDATE_RESOURCES,
    Action.DELETE_FUNCTION: Permission.DELETE_RESOURCES,
    Action.INVOKE_FUNCTION: Permission.UPDATE_RESOURCES,
    Action.READ_EXECUTIONS: Permission.VIEW_RESOURCES,
}

# What a user has no permission for, by whatever name: these actions are done with an API key.
_KEYS_ALONE = "an API key"

_BY_MODE = frozenset({Action.CALL_API_FUNCTION, Action.EXECUTE_FUNCTION})
_PER_FUNCTION = frozenset({Action.INVOKE_FUNCTION, *_BY_MODE})


def authorize(identity: Identity | None, action: Action, function: Function | None = None) -> None:
    """
    Let the caller pass, or raise.

    ``function`` is needed where permission depends on it: permission modes and permissions for one function.

    Raises:
        UnauthenticatedError: no identity, and the action needs one.
        ForbiddenError: the identity lacks the permission named by the field ``required``.
    """
    if function is not None and action in _BY_MODE and _opened_by_mode(identity, function.permission_mode):
        return
    if identity is None:
        raise UnauthenticatedError("no valid credential was presented")
    if identity.key_id is not None:
        required = _KEY[action]
        allowed = required in identity.permissions or _ADMIN in identity.permissions
    elif identity.role is not None:
        permission = _MEMBER.get(action)
        required = permission or _KEYS_ALONE
        allowed = permission is not None and Membership(role=identity.role).may(permission)
    else:
        required = _USER.get(action, _KEYS_ALONE)
        allowed = required in identity.permissions or (
            function is not None and action in _PER_FUNCTION and f"{required}:{function.name}" in identity.permissions
        )
    if not allowed:
        raise ForbiddenError(f"the permission {required} is missing", required=required)


def authorize_member(
    membership: Membership | None,
    permission: Permission | None,
    project: str | None = None,
    environment: str | None = None,
) -> Membership:
    """
    Return what the caller is in a workspace when their role allows it there, or raise.

    ``permission`` None asks for membership alone. ``project`` and ``environment`` are the slugs of where.

    Raises:
        ForbiddenError: no member, kept out of that place, or a role that lacks what the field ``required`` names.
    """
    if membership is None:
        raise ForbiddenError("You are not a member of this workspace")
    if project is not None and not membership.may_be_in(project, environment):
        raise ForbiddenError("Your membership does not extend to this place")
    if permission is not None and not membership.may(permission):
        raise ForbiddenError(f"The permission {permission} is missing", required=permission)
    return membership


def may(identity: Identity, action: Action) -> bool:
    """Tell whether ``authorize`` would let the caller pass."""
    try:
        authorize(identity, action)
    except ForbiddenError:
        return False
    return True


def _opened_by_mode(identity: Identity | None, mode: PermissionMode) -> bool:
    return mode is PermissionMode.PUBLIC or (mode is PermissionMode.ALL_USERS and identity is not None)
