"""
What AWS Lambda says of a function, in our words: one table from its states to ours.

Pure. The status of a change (``LastUpdateStatus``) comes before the function's own state, except that a function
which is being made is ``creating`` whatever is said of changes.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from shared.domain.placement import CloudFunction, CloudState

OWNER_TAG = "tidemill:function"
"""Tells a function of ours from one that happens to have the name."""

_STATES = {
    "Pending": CloudState.CREATING,
    "Active": CloudState.ACTIVE,
    "Inactive": CloudState.INACTIVE,
    "Deactivating": CloudState.INACTIVE,
    "Deactivated": CloudState.INACTIVE,
    "ActiveNonInvocable": CloudState.INACTIVE,
    "Failed": CloudState.FAILED,
    "Deleting": CloudState.FAILED,
}


def state_of(configuration: Mapping[str, Any]) -> CloudState:
    """Return the state of a function configuration; a state that AWS adds one day counts as active."""
    state = _STATES.get(configuration.get("State", "Active"), CloudState.ACTIVE)
    if state in (CloudState.CREATING, CloudState.FAILED):
        return state
    match configuration.get("LastUpdateStatus"):
        case "InProgress":
            return CloudState.UPDATING
        case "Failed":
            return CloudState.FAILED
        case _:
            return state


def is_busy(configuration: Mapping[str, Any]) -> bool:
    """Tell whether AWS is at the function, so that it would refuse a change."""
    return state_of(configuration) in (CloudState.CREATING, CloudState.UPDATING)


def reason_of(configuration: Mapping[str, Any]) -> str | None:
    """Return why a function is as it is, in AWS's words."""
    if configuration.get("LastUpdateStatus") == "Failed":
        return configuration.get("LastUpdateStatusReason") or configuration.get("LastUpdateStatusReasonCode")
    return configuration.get("StateReason") or configuration.get("StateReasonCode")


def cloud_function_of(answer: Mapping[str, Any], url: str | None) -> CloudFunction:
    """Return the function of an answer to ``GetFunction`` and the URL it has, if any."""
    configuration = answer["Configuration"]
    labels = dict(answer.get("Tags") or {})
    return CloudFunction(
        arn=configuration["FunctionArn"],
        state=state_of(configuration),
        cloud_state=configuration.get("State", "Active"),
        reason=reason_of(configuration),
        runtime=configuration.get("Runtime", ""),
        architecture=(configuration.get("Architectures") or ["x86_64"])[0],
        handler=configuration.get("Handler", ""),
        memory_mb=configuration["MemorySize"],
        timeout_s=configuration["Timeout"],
        tmp_mb=configuration.get("EphemeralStorage", {}).get("Size", 512),
        role=configuration.get("Role", ""),
        description=configuration.get("Description", ""),
        environment=dict(configuration.get("Environment", {}).get("Variables", {})),
        code_sha256=_hex(configuration.get("CodeSha256", "")),
        code_bytes=configuration.get("CodeSize", 0),
        last_modified=configuration.get("LastModified", ""),
        url=None if url is None else f"{url.rstrip('/')}/",
        owner=labels.get(OWNER_TAG, ""),
        labels=labels,
    )


def _hex(digest: str) -> str:
    try:
        return base64.b64decode(digest, validate=True).hex()
    except binascii.Error:
        return ""
