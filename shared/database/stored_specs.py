"""What a deployment's row holds of a function's configuration and settings, as values again."""

from typing import Any

from shared.database.functions import FunctionSettings
from shared.domain.function import Convention, PermissionMode, RetryPolicy, VersionSpec


def spec_of(stored: dict[str, Any]) -> VersionSpec:
    return VersionSpec(
        **{**stored, "convention": Convention(stored["convention"]), "secrets": tuple(stored["secrets"])}
    )


def settings_of(stored: dict[str, Any]) -> FunctionSettings:
    tags, mode, retry = stored["tags"], stored["permission_mode"], stored["retry_policy"]
    locked = stored.get("locked_variables")
    return FunctionSettings(
        **{
            **stored,
            "tags": None if tags is None else tuple(tags),
            "locked_variables": None if locked is None else tuple(locked),
            "permission_mode": None if mode is None else PermissionMode(mode),
            "retry_policy": None
            if retry is None
            else RetryPolicy(enabled=retry["enabled"], errors_to_retry=tuple(retry["errors_to_retry"])),
        }
    )
