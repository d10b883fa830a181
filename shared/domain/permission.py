"""The names of permissions, as the dialects spell them. What each allows is said where access is decided."""

API_KEY_PERMISSIONS = ("read", "write", "execute", "admin")
"""What an API key may carry (contracts/neo.md section 2)."""

EXTRA_HORIZON_PERMISSIONS = (
    "VIEW_TASKS",
    "CREATE_TASKS",
    "CANCEL_TASKS",
    "VIEW_TASK_LOGS",
    "VIEW_TASK_FUNCTIONS",
    "VIEW_TASK_FUNCTION_DETAILS",
    "CREATE_TASK_FUNCTION",
    "UPDATE_TASK_FUNCTION",
    "DELETE_TASK_FUNCTION",
    "VIEW_TASK_FUNCTION_LOGS",
    "EXECUTE_TASK_FUNCTION",
    "EXECUTE_API_FUNCTION",
    "VIEW_API_FUNCTION_REQUESTS",
    "VIEW_API_FUNCTION_REQUEST_LOGS",
    "VIEW_TASK_SCHEDULES",
    "CREATE_TASK_SCHEDULE",
    "DELETE_TASK_SCHEDULE",
    "VIEW_APPLICATIONS",
    "CREATE_APPLICATIONS",
    "UPDATE_APPLICATIONS",
    "DELETE_APPLICATIONS",
    "VIEW_AUTHORIZATIONS",
    "DELETE_AUTHORIZATIONS",
    "VIEW_USER",
    "UPDATE_USER",
    "DELETE_USER",
    "VIEW_ROLE",
    "CREATE_ROLE",
    "UPDATE_ROLE",
    "DELETE_ROLE",
    "ADD_ROLE_PERMISSION",
    "REMOVE_ROLE_PERMISSION",
    "ADD_ROLE_TO_USER",
    "REMOVE_ROLE_FROM_USER",
)
"""What the Extra Horizon services we offer ask for (contracts/extrahorizon.md section 7). A role may hold any text."""
