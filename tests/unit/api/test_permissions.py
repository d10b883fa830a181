"""Who may do what: every action for every kind of caller."""

from datetime import UTC, datetime

import pytest

from services.api.access.permissions import authorize, authorize_member
from shared.domain.errors import ForbiddenError, UnauthenticatedError
from shared.domain.function import (
    Convention,
    Function,
    FunctionStatus,
    FunctionVersion,
    PermissionMode,
    RetryPolicy,
    VersionSpec,
)
from shared.domain.identity import Action, Identity
from shared.domain.permission import API_KEY_PERMISSIONS, EXTRA_HORIZON_PERMISSIONS
from shared.domain.workspace import PERMISSIONS, Membership, Permission, Role

KEY_NEEDS = {
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
FOR_KEYS_ALONE = {Action.READ_SECRETS, Action.WRITE_SECRETS, Action.DELETE_SECRET, Action.MANAGE_KEYS}
USER_NEEDS = {
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
BY_MODE = {Action.CALL_API_FUNCTION, Action.EXECUTE_FUNCTION}


def key(*permissions: str) -> Identity:
    return Identity(account_id="a", environment_id="e", permissions=frozenset(permissions), key_id="key_0123456789")


def user(*permissions: str) -> Identity:
    return Identity(
        account_id="a", environment_id="e", permissions=frozenset(permissions), user_id="u", application_id="o"
    )


def function(mode: PermissionMode = PermissionMode.PERMISSION_REQUIRED) -> Function:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    spec = VersionSpec(runtime="node18", convention=Convention.NEO, handler="", timeout_s=3, memory_mb=128)
    return Function(
        id="func_0123456789",
        account_id="a",
        environment_id="e",
        name="greet",
        description="",
        status=FunctionStatus.ACTIVE,
        enabled=True,
        provider="local",
        tags=(),
        permission_mode=mode,
        default_priority=0,
        retry_policy=RetryPolicy(),
        revision=1,
        created_at=moment,
        updated_at=moment,
        version=FunctionVersion(id="v", number=1, spec=spec, package_sha256="0" * 64, code_hash="", created_at=moment),
    )


def allowed(identity: Identity | None, action: Action, of: Function | None = None) -> bool:
    try:
        authorize(identity, action, of)
    except ForbiddenError:
        return False
    return True


def test_every_action_has_its_permission_for_keys_and_for_users() -> None:
    assert set(KEY_NEEDS) == set(Action)
    assert set(USER_NEEDS) | FOR_KEYS_ALONE == set(Action)
    assert set(KEY_NEEDS.values()) <= set(API_KEY_PERMISSIONS)
    assert set(USER_NEEDS.values()) <= set(EXTRA_HORIZON_PERMISSIONS)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("permission", API_KEY_PERMISSIONS)
def test_a_key_may_do_what_its_permission_names_and_admin_everything(action: Action, permission: str) -> None:
    assert allowed(key(permission), action, function()) is (permission in (KEY_NEEDS[action], "admin"))


@pytest.mark.parametrize("action", sorted(FOR_KEYS_ALONE))
def test_no_permission_lets_a_user_do_what_is_for_keys_alone(action: Action) -> None:
    assert not allowed(user(*EXTRA_HORIZON_PERMISSIONS, *API_KEY_PERMISSIONS), action, function())


@pytest.mark.parametrize("action", USER_NEEDS)
def test_a_user_may_do_what_their_permission_names_and_nothing_else(action: Action) -> None:
    every_other = [name for name in EXTRA_HORIZON_PERMISSIONS if name != USER_NEEDS[action]]

    assert allowed(user(USER_NEEDS[action]), action, function())
    assert not allowed(user(*every_other), action, function())


@pytest.mark.parametrize("action", Action)
def test_names_of_the_other_dialect_mean_nothing(action: Action) -> None:
    assert not allowed(user(*API_KEY_PERMISSIONS), action, function())
    assert not allowed(key(*EXTRA_HORIZON_PERMISSIONS), action, function())


@pytest.mark.parametrize("action", Action)
def test_what_is_missing_is_named(action: Action) -> None:
    for identity, needed in ((key(), KEY_NEEDS[action]), (user(), USER_NEEDS.get(action, "an API key"))):
        with pytest.raises(ForbiddenError) as raised:
            authorize(identity, action, function())
        assert raised.value.fields["required"] == needed


@pytest.mark.parametrize("action", Action)
def test_without_identity_only_a_public_function_is_open(action: Action) -> None:
    for mode in PermissionMode:
        if action in BY_MODE and mode is PermissionMode.PUBLIC:
            authorize(None, action, function(mode))
        else:
            with pytest.raises(UnauthenticatedError):
                authorize(None, action, function(mode))


@pytest.mark.parametrize("action", sorted({Action.INVOKE_FUNCTION, *BY_MODE}))
def test_a_permission_may_be_narrowed_to_one_function(action: Action) -> None:
    assert allowed(user(f"{USER_NEEDS[action]}:greet"), action, function())
    assert not allowed(user(f"{USER_NEEDS[action]}:greeter"), action, function())
    other = {"EXECUTE_API_FUNCTION": "EXECUTE_TASK_FUNCTION", "EXECUTE_TASK_FUNCTION": "EXECUTE_API_FUNCTION"}
    assert not allowed(user(f"{other[USER_NEEDS[action]]}:greet"), action, function())


def test_a_permission_for_one_function_does_not_open_management() -> None:
    assert not allowed(user("DELETE_TASK_FUNCTION:greet"), Action.DELETE_FUNCTION, function())


@pytest.mark.parametrize("action", Action)
def test_all_users_opens_calls_and_direct_execution_to_any_user_and_nothing_else(action: Action) -> None:
    assert allowed(user(), action, function(PermissionMode.ALL_USERS)) is (action in BY_MODE)


MEMBER_NEEDS = {
    Action.LIST_FUNCTIONS: Permission.VIEW_RESOURCES,
    Action.READ_FUNCTION: Permission.VIEW_RESOURCES,
    Action.READ_EXECUTIONS: Permission.VIEW_RESOURCES,
    Action.CREATE_FUNCTION: Permission.CREATE_RESOURCES,
    Action.UPDATE_FUNCTION: Permission.UPDATE_RESOURCES,
    Action.INVOKE_FUNCTION: Permission.UPDATE_RESOURCES,
    Action.DELETE_FUNCTION: Permission.DELETE_RESOURCES,
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_a_member_of_a_workspace_may_do_what_their_role_allows(action: Action, role: Role) -> None:
    member = Identity(account_id="a", environment_id="e", permissions=frozenset(), user_id="u", role=role)
    needed = MEMBER_NEEDS.get(action)

    if needed is not None and needed in PERMISSIONS[role]:
        authorize(member, action)
    else:
        with pytest.raises(ForbiddenError):
            authorize(member, action)


def test_permissions_of_another_dialect_give_a_member_nothing() -> None:
    everything = frozenset({*API_KEY_PERMISSIONS, *EXTRA_HORIZON_PERMISSIONS, *Permission})
    member = Identity(account_id="a", environment_id="e", permissions=everything, user_id="u", role=Role.VIEWER)

    with pytest.raises(ForbiddenError):
        authorize(member, Action.CREATE_FUNCTION)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_role_lets_in_where_it_allows_the_thing_and_the_place(permission: Permission, role: Role) -> None:
    member = Membership(role=role, places=("shop/live",))

    if permission in PERMISSIONS[role]:
        assert authorize_member(member, permission, "shop", "live") is member
    else:
        with pytest.raises(ForbiddenError) as refused:
            authorize_member(member, permission, "shop", "live")
        assert refused.value.fields == {"required": permission}
    with pytest.raises(ForbiddenError):
        authorize_member(member, permission, "shop", "master")
    with pytest.raises(ForbiddenError):
        authorize_member(None, permission)
    assert authorize_member(member, None) is member
