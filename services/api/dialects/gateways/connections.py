"""``/api/cloud-connections``: ways into clouds, and who goes through them (contracts/gateways.md section 3.11)."""

import re
from collections import Counter

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.projects import PROJECT
from services.api.dialects.gateways.table import TEXT, Entry, Parameters
from services.api.operations import cloud_connections
from services.api.operations.cloud_connections import Begun
from services.api.operations.places import InProject, InWorkspace, enter_project, enter_workspace
from shared.database.cloud_connections import CloudConnection
from shared.domain import catalogue
from shared.domain.errors import IllegalStateError, InvalidRequestError, NotFoundError
from shared.domain.moments import iso
from shared.domain.workspace import Permission

CONNECTIONS = "/api/cloud-connections/{workspaceSlug}"
_CONNECTION = CONNECTIONS + "/{id}"
_STATUSES = ("pending", "connected", "failed", "disconnected")
_ALL = "all"
_FIRST_REGION = "us-east-1"
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


async def show_all(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.VIEW_RESOURCES)
    status = _choice(request, "status", (*_STATUSES, _ALL)) or "connected"
    found = await cloud_connections.list_connections(
        door.platform,
        visit,
        provider=_provider(request),
        status=None if status == _ALL else status,
        with_deleted=bodies.asked(request, "include_inactive"),
    )
    by_status = Counter(each.status for each in found)
    return listed(
        "Cloud connections retrieved successfully",
        [connection(each) for each in found],
        summary={"total": len(found), "byStatus": {each: by_status[each] for each in _STATUSES}},
    )


async def connect_aws(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.CREATE_RESOURCES)
    body = await bodies.read_object(request, required=False)
    region = _FIRST_REGION if body.get("region") is None else bodies.text(body, "region")
    if region not in catalogue.AWS_REGIONS:
        raise InvalidRequestError(f"AWS has no region {region}", field="region", issue="unknown")
    begun = await cloud_connections.begin_aws(door.platform, visit, region)
    return done("AWS connection initiated successfully", _begun(begun), 201)


async def connect_local(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.CREATE_RESOURCES)
    made = await cloud_connections.connect_local(door.platform, visit)
    return done("Cloud connection completed successfully", connection(made))


async def complete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.CREATE_RESOURCES)
    body = await bodies.read_object(request)
    account_id = bodies.text(body, "accountId")
    if _ACCOUNT_ID.fullmatch(account_id) is None:
        raise InvalidRequestError("accountId must be 12 digits", field="accountId", issue="malformed")
    name = bodies.name(body, "accountName")
    completed = await cloud_connections.complete_aws(door.platform, visit, _number(parameters), account_id, name)
    return done("Cloud connection completed successfully", connection(completed))


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.UPDATE_RESOURCES)
    body = await bodies.read_object(request)
    name = None if body.get("accountName") is None else bodies.name(body, "accountName")
    updated = await cloud_connections.rename(door.platform, visit, _number(parameters), name)
    return done("Cloud connection updated successfully", connection(updated))


async def delete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.DELETE_RESOURCES)
    number = _number(parameters)
    try:
        await cloud_connections.delete(door.platform, visit, number)
    except IllegalStateError as error:
        raise _named(error, "Cannot delete connection") from error
    return done("Cloud connection deleted successfully", {"id": number, "deleted": True})


async def link(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter_project(door, request, parameters)
    number = bodies.number(parameters["connectionId"], "cloud connection")
    try:
        project = await cloud_connections.link(door.platform, visit, number)
    except IllegalStateError as error:
        raise _named(error, "Cannot connect cloud") from error
    return done("Project connected to cloud successfully", views.project(project))


async def unlink(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter_project(door, request, parameters)
    try:
        project = await cloud_connections.unlink(door.platform, visit)
    except IllegalStateError as error:
        raise _named(error, "Cannot disconnect cloud") from error
    return done("Project disconnected from cloud successfully", views.project(project))


async def show_regions(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    workspace = (await enter_workspace(door.platform, caller, parameters["workspaceSlug"])).workspace
    visit = await enter_project(door.platform, caller, parameters["projectSlug"], Permission.VIEW_RESOURCES)
    project = visit.project
    if project.account_id != workspace.id:
        raise NotFoundError("The specified project does not exist in this workspace", what="Project")
    linked = await cloud_connections.linked(door.platform, visit)
    regions = [
        {
            "id": each.number,
            "code": each.code,
            "name": each.name,
            "isActive": True,
            "metadata": {"location": each.location},
        }
        for each in catalogue.regions_of(linked.provider).values()
    ]
    return listed(
        "Regions retrieved successfully",
        regions,
        workspace={"id": workspace.number, "slug": workspace.slug, "name": workspace.name},
        project={"id": project.number, "slug": project.slug, "name": project.name},
        provider=linked.provider,
        cloudConnection={
            "id": linked.number,
            "accountName": linked.name,
            "accountId": linked.cloud_account_id,
            "region": linked.region,
        },
        includeInactive=bodies.asked(request, "include_inactive"),
    )


def connection(of: CloudConnection) -> views.View:
    """Return a connection, without what lets us in."""
    provider = catalogue.PROVIDERS[of.provider]
    return {
        "id": of.number,
        "cloudProvider": {"id": provider.number, "name": provider.name, "displayName": provider.title},
        "accountId": of.cloud_account_id,
        "accountName": of.name,
        "roleArn": of.role_arn,
        "region": of.region,
        "connectionStatus": of.status,
        "errorMessage": of.reason,
        "isActive": of.deleted_at is None,
        "connectedAt": None if of.connected_at is None else iso(of.connected_at),
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def _begun(of: Begun) -> views.View:
    return {
        "connectionId": of.connection.number,
        "connectionUrl": of.console_url,
        "stackName": of.stack_name,
        "region": of.connection.region,
        "status": of.connection.status,
        "externalId": of.external_id,
        "trustedAccountId": of.trusted_account,
        "templateUrl": of.template_url,
    }


def _named(error: IllegalStateError, case: str) -> IllegalStateError:
    return IllegalStateError(error.message, **{**error.fields, "case": case})


def _number(parameters: Parameters) -> int:
    return bodies.number(parameters["id"], "cloud connection")


def _provider(request: web.BaseRequest) -> str | None:
    wanted = _choice(request, "provider", tuple(catalogue.PROVIDERS))
    given = request.query.get("provider_id")
    if given is None:
        return wanted
    number = bodies.number(given, "provider")
    named = [each.name for each in catalogue.PROVIDERS.values() if each.number == number]
    if not named or wanted not in (None, named[0]):
        raise InvalidRequestError("there is no such provider", field="provider_id", issue="unknown")
    return named[0]


def _choice(request: web.BaseRequest, field: str, choices: tuple[str, ...]) -> str | None:
    value = request.query.get(field)
    if value is not None and value not in choices:
        raise InvalidRequestError(f"{field} must be one of {', '.join(choices)}", field=field, issue="unknown")
    return value


async def _enter(door: Door, request: web.BaseRequest, parameters: Parameters, permission: Permission) -> InWorkspace:
    return await enter_workspace(door.platform, await door.caller(request), parameters["workspaceSlug"], permission)


async def _enter_project(door: Door, request: web.BaseRequest, parameters: Parameters) -> InProject:
    caller = await door.caller(request)
    return await enter_project(door.platform, caller, parameters["projectSlug"], Permission.UPDATE_RESOURCES)


ENTRIES = (
    Entry(
        method="GET",
        path=CONNECTIONS,
        handler=show_all,
        name="CloudConnections",
        summary="The ways into clouds that a workspace has; those in use unless a status is named",
        query=("status", "provider", "provider_id", "include_inactive"),
    ),
    Entry(
        method="POST",
        path=CONNECTIONS + "/connect-aws",
        handler=connect_aws,
        name="ConnectAws",
        summary="Begin a connection into an AWS account: what the stack of its role is to be given",
        status="201",
        body={"region": TEXT},
    ),
    Entry(
        method="POST",
        path=CONNECTIONS + "/connect-local",
        handler=connect_local,
        name="ConnectLocal",
        summary="The connection to this installation itself; made anew if it was deleted",
    ),
    Entry(
        method="POST",
        path=_CONNECTION + "/complete",
        handler=complete,
        name="CompleteCloudConnection",
        summary="Enter the account as the role of its stack; from then on the connection is used",
        body={"accountId": TEXT, "accountName": TEXT},
        required=("accountId", "accountName"),
    ),
    Entry(
        method="PATCH",
        path=_CONNECTION,
        handler=update,
        name="UpdateCloudConnection",
        summary="Give a connection another name",
        body={"accountName": TEXT},
    ),
    Entry(
        method="DELETE",
        path=_CONNECTION,
        handler=delete,
        name="DeleteCloudConnection",
        summary="Delete a connection; refused while functions are at the other end",
    ),
    Entry(
        method="PATCH",
        path=PROJECT + "/connect-cloud/{connectionId}",
        handler=link,
        name="ConnectProjectCloud",
        summary="Have the functions of a project go through a connection",
    ),
    Entry(
        method="PATCH",
        path=PROJECT + "/disconnect-cloud",
        handler=unlink,
        name="DisconnectProjectCloud",
        summary="Link a project to no cloud; refused while functions of it are there",
    ),
    Entry(
        method="GET",
        path="/api/cloud/{workspaceSlug}/{projectSlug}/regions",
        handler=show_regions,
        name="CloudRegions",
        summary="The regions of the cloud a project is linked to",
        query=("include_inactive",),
    ),
)
