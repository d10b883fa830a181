"""Catalogues: runtimes, providers, kinds of resources, plans (contracts/gateways.md sections 3.8, 3.9, 3.13)."""

from datetime import UTC, datetime

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import Entry, Parameters
from services.api.operations.places import enter_workspace
from services.api.operations.workspaces import list_workspaces
from shared.domain import catalogue
from shared.domain.catalogue import LambdaRuntime, ResourceType
from shared.domain.errors import InvalidRequestError, NotFoundError
from shared.domain.moments import iso
from shared.domain.plan import LEAST_PLAN, PLANS
from shared.domain.workspace import Membership, Permission

_SINCE = iso(datetime(2026, 1, 1, tzinfo=UTC))
"""The catalogues are part of the program: their entries have no dates of their own."""


async def show_runtimes(_door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    with_inactive = bodies.asked(request, "include_inactive")
    language = _choice(request, "language", catalogue.LANGUAGES)
    family = _choice(request, "family", catalogue.FAMILIES)
    shown = [
        _runtime(each)
        for each in catalogue.LAMBDA_RUNTIMES.values()
        if (each.is_active or with_inactive) and language in (None, each.language) and family in (None, each.family)
    ]
    return listed(
        "Lambda runtimes retrieved successfully",
        shown,
        includeInactive=with_inactive,
        filters={"language": language, "family": family},
    )


async def show_providers(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    await door.caller(request)
    with_inactive = bodies.asked(request, "include_inactive")
    shown = [
        {"id": each.number, "name": each.name, "displayName": each.title, "isActive": each.is_active}
        for each in catalogue.PROVIDERS.values()
        if each.is_active or with_inactive
    ]
    return listed("Cloud providers retrieved successfully", shown)


async def show_resource_types(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    active_only = request.query.get("activeOnly", "true").lower() != "false"
    membership = await _membership(door, request)
    shown = [
        _resource_type(each, membership)
        for each in catalogue.RESOURCE_TYPES.values()
        if each.is_active or not active_only
    ]
    return listed("Resource types retrieved successfully", shown)


async def show_resource_type(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    found = catalogue.RESOURCE_TYPES.get(parameters["subtype"])
    if found is None:
        raise NotFoundError("There is no such resource type", what="Resource type")
    return done("Resource type retrieved successfully", _resource_type(found, await _membership(door, request)))


async def show_plans(_door: Door, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    shown = [{**views.plan(each), "createdAt": _SINCE, "updatedAt": _SINCE} for each in PLANS.values()]
    return listed("Pricing plans retrieved successfully", shown)


async def show_plan(_door: Door, _request: web.BaseRequest, parameters: Parameters) -> web.Response:
    found = PLANS.get(parameters["slug"])
    if found is None:
        raise NotFoundError("There is no such pricing plan", what="Plan")
    shown = {**views.plan(found), "createdAt": _SINCE, "updatedAt": _SINCE}
    return done("Pricing plan retrieved successfully", shown)


def _runtime(of: LambdaRuntime) -> views.View:
    metadata = {"language": of.language, "family": of.family, "version": of.version, "distro": of.distro}
    return {
        "id": of.number,
        "code": of.code,
        "name": of.name,
        "description": f"{of.name} runtime",
        "isActive": of.is_active,
        "language": of.language,
        "family": of.family,
        "version": of.version,
        "distro": of.distro,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
        "createdAt": _SINCE,
        "updatedAt": _SINCE,
    }


def _resource_type(of: ResourceType, membership: Membership | None) -> views.View:
    """Return a kind of resource; with a workspace, whether the caller may make one there. Every plan reaches all."""
    may = {} if membership is None else {"canCreate": of.is_active and membership.may(Permission.CREATE_RESOURCES)}
    return {
        "id": of.number,
        "subtype": of.subtype,
        "displayName": of.title,
        "isActive": of.is_active,
        "minPlanId": LEAST_PLAN.number,
        "minPlanSlug": LEAST_PLAN.slug,
        "minPlanName": LEAST_PLAN.name,
        **may,
    }


async def _membership(door: Door, request: web.BaseRequest) -> Membership | None:
    """Return what the caller is in the workspace of the query; without one, or without a credential, nothing."""
    named = request.query.get("workspaceId")
    if named is None or not (request.headers.keys() & {"Authorization", "X-API-Key"}):
        return None
    caller = await door.caller(request)
    number = bodies.number(named, "workspace")
    joined = [each for each in await list_workspaces(door.platform, caller) if each.workspace.number == number]
    if not joined:
        raise NotFoundError("The specified workspace does not exist", what="Workspace")
    return (await enter_workspace(door.platform, caller, joined[0].workspace.slug)).membership


def _choice(request: web.BaseRequest, field: str, choices: tuple[str, ...]) -> str | None:
    value = request.query.get(field)
    if value is not None and value not in choices:
        raise InvalidRequestError(f"{field} must be one of {', '.join(choices)}", field=field, issue="unknown")
    return value


ENTRIES = (
    Entry(
        method="GET",
        path="/api/cloud/lambda-runtimes",
        handler=show_runtimes,
        name="LambdaRuntimes",
        summary="The runtimes a function may ask for",
        query=("include_inactive", "language", "family"),
        is_public=True,
    ),
    Entry(
        method="GET",
        path="/api/cloud/providers",
        handler=show_providers,
        name="CloudProviders",
        summary="Where functions may be",
        query=("include_inactive",),
    ),
    Entry(
        method="GET",
        path="/api/resource-types",
        handler=show_resource_types,
        name="ResourceTypes",
        summary="What environments may hold; with a workspace, whether the caller may make it there",
        query=("activeOnly", "workspaceId"),
        is_public=True,
    ),
    Entry(
        method="GET",
        path="/api/resource-types/{subtype}",
        handler=show_resource_type,
        name="ResourceType",
        summary="One kind of resource",
        query=("workspaceId",),
        is_public=True,
    ),
    Entry(
        method="GET",
        path="/api/pricing-plans",
        handler=show_plans,
        name="PricingPlans",
        summary="The plans a workspace may have, and their limits",
        is_public=True,
    ),
    Entry(
        method="GET",
        path="/api/pricing-plans/{slug}",
        handler=show_plan,
        name="PricingPlan",
        summary="One plan",
        is_public=True,
    ),
)
