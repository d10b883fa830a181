"""
What the Gateways dialect shows of functions and their files (contracts/gateways.md sections 3.1 to 3.8).

The values of locked variables are nowhere in here: each is shown as ``LOCKED_VALUE``. A function that was made through
another dialect has no region of its own; it is on this installation.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.api.dialects.gateways.views import View
from services.api.operations.places import InEnvironment
from shared.database.resources import Resource, Shown
from shared.domain.errors import InvalidRequestError
from shared.domain.function import LOCKED_VALUE, Convention
from shared.domain.moments import iso
from shared.domain.placement import LOCAL, CloudState
from shared.packages.files import PackageFile
from shared.packages.handlers import parse_handler

RESOURCE_TYPE = "function"
_NEO_FILE = "index.js"
"""What the source text of a function made through Neo is called in its package."""
_EXACT = 2**53
"""Whole numbers below it are the same with and without a fraction, for every reader of JSON."""
_TITLES = {"aws": "AWS", "gcp": "GCP", "azure": "Azure", LOCAL: "this installation"}


def cloud_name(of: Shown) -> str:
    """Return what a function is called at its provider."""
    return of.cloud_name or of.name


def listed_function(of: Shown, endpoint: str | None) -> View:
    """Return a function as lists show it."""
    return {
        "id": of.number,
        "name": of.name,
        "runtime": of.runtime,
        "architecture": of.architecture,
        "handler": of.handler,
        "region": of.region or LOCAL,
        "status": of.status,
        "endpoint": endpoint,
        "description": of.description or None,
        "memorySize": of.memory_mb,
        "timeout": of.timeout_s,
        "ephemeralStorage": of.tmp_mb,
        "positionX": coordinate(of.position_x),
        "positionY": coordinate(of.position_y),
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def function(of: Resource, place: InEnvironment, endpoint: str | None, variables: Mapping[str, str]) -> View:
    """Return a function whole, its code excepted."""
    return {
        "id": of.number,
        "userId": of.user_number,
        "projectId": place.project.number,
        "environmentId": place.environment.number,
        "resourceId": cloud_name(of),
        **listed_function(of, endpoint),
        "environmentVariables": masked(variables, of.locked_variables),
        "environmentVariablesLocked": list(of.locked_variables),
    }


def masked(variables: Mapping[str, str], locked: Sequence[str]) -> dict[str, str]:
    """Return variables without the values of those that are locked."""
    return {name: LOCKED_VALUE if name in locked else value for name, value in variables.items()}


def resource(of: Shown, place: InEnvironment, endpoint: str | None) -> View:
    """Return a function as one of the environment's resources."""
    return {
        "id": of.number,
        "resourceType": RESOURCE_TYPE,
        "resourceId": cloud_name(of),
        "name": of.name,
        **placed(place),
        "region": of.region or LOCAL,
        "status": of.status,
        "metadata": {
            "runtime": of.runtime,
            "architecture": of.architecture,
            "handler": of.handler,
            "memorySize": of.memory_mb,
            "timeout": of.timeout_s,
            "ephemeralStorage": of.tmp_mb,
            "endpoint": endpoint,
            "stateReason": of.reason,
        },
        "position": position(of),
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def placed(place: InEnvironment) -> View:
    """Return where resources are."""
    project, environment = place.project, place.environment
    return {
        "project": {"id": project.number, "slug": project.slug, "name": project.name},
        "environment": {"id": environment.number, "slug": environment.slug, "name": environment.name},
    }


def position(of: Shown) -> View | None:
    """Return where a function stands on the canvas; None when it was never put there."""
    if of.position_x is None and of.position_y is None:
        return None
    return {"x": coordinate(of.position_x), "y": coordinate(of.position_y)}


def coordinate(value: float | None) -> float | None:
    """Return a coordinate as it is shown: a whole one without a fraction, which strict readers take for one."""
    return int(value) if value is not None and value.is_integer() and abs(value) < _EXACT else value


def synced(of: Resource) -> View:
    """Return a function after its provider was asked, with what that said; states are in the provider's words."""
    facts = of.facts
    state = facts.get("cloud_state") or of.status.capitalize()
    seen = {
        "status": of.status.capitalize(),
        "state": state,
        "stateReason": of.reason,
        "runtime": facts.get("runtime", of.runtime),
        "architecture": facts.get("architecture", of.architecture),
        "handler": facts.get("handler", of.handler),
        "memorySize": facts.get("memory_mb", of.memory_mb),
        "timeout": facts.get("timeout_s", of.timeout_s),
        "lastModified": _moment(facts.get("last_modified")) or iso(of.deployed_at),
        "codeSize": facts.get("code_bytes"),
    }
    return {
        "id": of.number,
        "name": of.name,
        "resourceId": cloud_name(of),
        "functionArn": of.arn,
        "status": of.status.capitalize(),
        "runtime": of.runtime,
        "architecture": of.architecture,
        "handler": of.handler,
        "memorySize": of.memory_mb,
        "timeout": of.timeout_s,
        "region": of.region or LOCAL,
        "position": position(of),
        f"{of.provider}Data": seen,
        "updatedAt": iso(of.updated_at),
    }


def _moment(said: str | None) -> str | None:
    """Return a moment of a cloud as all others are written; what is none as it came."""
    try:
        return iso(datetime.fromisoformat(said)) if said else None
    except ValueError:
        return said


def gone(of: Resource) -> View:
    """Return what is told of a function that its cloud does not have any more."""
    title, name = _TITLES.get(of.provider, of.provider), cloud_name(of)
    return {
        "error": f"Function not found in {title}",
        "message": f'Function "{name}" was not found in {title}. It may have been deleted.',
        "data": {"id": of.number, "resourceId": name, "status": "Failed", "synced": True},
    }


def entry_file(of: Resource) -> str | None:
    """Return the file that a function's handler is in; None when the handler names none."""
    if of.convention == Convention.NEO:
        return _NEO_FILE
    try:
        return parse_handler(of.runtime, of.handler).file
    except InvalidRequestError:
        return None


def file(of: PackageFile, resource: Resource) -> View:
    """Return a file without its text."""
    return {
        "path": of.path,
        "size": of.size_bytes,
        "isEntry": of.path == entry_file(resource),
        "updatedAt": iso(resource.deployed_at),
    }


def file_with_text(path: str, text: str, resource: Resource) -> View:
    """Return a file with its text."""
    return {
        "path": path,
        "content": text,
        "size": len(text.encode()),
        "isEntry": path == entry_file(resource),
        "updatedAt": iso(resource.deployed_at),
    }


def still_updating(of: Resource) -> View:
    """Return what the answer to a change of code says more when that takes longer than its caller waits."""
    return {"status": of.status} if of.status == CloudState.UPDATING else {}


def facts_of(of: Resource, endpoint: str | None = None) -> dict[str, Any]:
    """Return what an activity says of the function it was about."""
    return {
        "runtime": of.runtime,
        "architecture": of.architecture,
        "handler": of.handler,
        "region": of.region or LOCAL,
        "resourceId": cloud_name(of),
        "functionUrl": endpoint,
    }
