"""Who is calling: the one form in which every dialect's credentials arrive at the operations."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.workspace import Role


class Action(StrEnum):
    """What a caller may be allowed to do; the permission table maps each to every dialect's own names."""

    LIST_FUNCTIONS = "functions.list"
    READ_FUNCTION = "functions.read"
    CREATE_FUNCTION = "functions.create"
    UPDATE_FUNCTION = "functions.update"
    DELETE_FUNCTION = "functions.delete"
    INVOKE_FUNCTION = "functions.invoke"
    CALL_API_FUNCTION = "functions.call_api"
    EXECUTE_FUNCTION = "functions.execute"
    READ_EXECUTIONS = "executions.read"
    READ_API_REQUESTS = "api_requests.read"
    READ_API_REQUEST_LOGS = "api_requests.read_logs"
    READ_TASKS = "tasks.read"
    CREATE_TASK = "tasks.create"
    CANCEL_TASK = "tasks.cancel"
    READ_TASK_LOGS = "tasks.read_logs"
    READ_SCHEDULES = "schedules.read"
    CREATE_SCHEDULE = "schedules.create"
    DELETE_SCHEDULE = "schedules.delete"
    READ_SECRETS = "secrets.read"
    WRITE_SECRETS = "secrets.write"
    DELETE_SECRET = "secrets.delete"  # noqa: S105 - the name of an action
    MANAGE_KEYS = "api_keys.manage"
    READ_USERS = "users.read"
    UPDATE_USER = "users.update"
    DELETE_USER = "users.delete"
    READ_ROLES = "roles.read"
    CREATE_ROLE = "roles.create"
    UPDATE_ROLE = "roles.update"
    DELETE_ROLES = "roles.delete"
    ADD_ROLE_PERMISSIONS = "roles.add_permissions"
    REMOVE_ROLE_PERMISSIONS = "roles.remove_permissions"
    GIVE_ROLES = "roles.give"
    TAKE_ROLES = "roles.take"
    READ_APPLICATIONS = "applications.read"
    CREATE_APPLICATION = "applications.create"
    UPDATE_APPLICATION = "applications.update"
    DELETE_APPLICATION = "applications.delete"
    READ_AUTHORIZATIONS = "authorizations.read"
    DELETE_AUTHORIZATIONS = "authorizations.delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    An authenticated caller, bound to one environment of one account.

    ``permissions`` are the names the credential carries: ``read write execute admin`` for API keys, Extra
    Horizon permission names for users. A member of the account as a workspace has a ``role`` instead.
    """

    account_id: str
    environment_id: str
    permissions: frozenset[str]
    key_id: str | None = None
    user_id: str | None = None
    application_id: str | None = None
    role: Role | None = None
