"""
Making a function at the provider of a project: on this installation, or in the account the project is linked to.

It begins with a starter file, so that it can be called before anybody has written a line; its code comes later. What
may be asked for depends on where it goes: this installation runs fewer languages than a cloud, and has one region.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.api.access.permissions import authorize
from services.api.operations.create_function import require_time_limit
from services.api.operations.deploy import deploy
from services.api.operations.places import InEnvironment
from services.api.operations.plans import require_room, room_of
from services.api.operations.resources import resource_of
from services.api.platform import Platform
from shared.database import cloud_connections
from shared.database.cloud_connections import CloudConnection
from shared.database.deployments import NewDeployment, open_deployment
from shared.database.functions import FunctionSettings
from shared.database.resources import Resource
from shared.domain import lambda_rules
from shared.domain.catalogue import AWS_REGIONS, LAMBDA_RUNTIMES
from shared.domain.cloud_errors import NotConnectedError
from shared.domain.errors import InvalidRequestError
from shared.domain.function import Convention, VersionSpec
from shared.domain.identity import Action
from shared.domain.ids import new_function_id
from shared.domain.placement import LOCAL, Placement
from shared.domain.runtime import RUNTIMES
from shared.packages.package import build_package
from shared.packages.starters import starter_files


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFunction:
    """A function as it is asked for; every field is of the form it must have."""

    name: str
    runtime: str
    handler: str
    region: str
    architecture: str = lambda_rules.DEFAULT_ARCHITECTURE
    description: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    locked_variables: tuple[str, ...] = ()
    position_x: float | None = None
    position_y: float | None = None


async def place_function(platform: Platform, place: InEnvironment, wanted: PlacedFunction) -> Resource:
    """
    Make a function with its starter; returned when its provider has accepted it, which may be before it can run.

    Raises:
        ForbiddenError: the caller may not create functions.
        NotConnectedError: the project is linked to nothing, or to what may not be used.
        InvalidRequestError: the provider has no such runtime or region.
        QuotaExceededError: the workspace's plan allows no more.
        NameTakenError: the environment, or the account in that region, has a function of that name.
        CloudDeniedError, CloudRefusedError: the provider does not make it; nothing is left.
        UnavailableError: no deployer, no bus, no database or no cloud; or it takes longer than callers wait, and goes
            on.
    """
    authorize(place.identity, Action.CREATE_FUNCTION)
    connection = await cloud_connections.find_linked(platform.db, place.project.id)
    if connection is None:
        raise NotConnectedError("The project is not linked to a cloud connection", issue="none")
    if not connection.is_usable:
        raise NotConnectedError("The project's cloud connection is not active", issue="not active")
    _require_offered(connection, wanted)
    spec = _spec(wanted)
    require_time_limit(platform, spec)
    await require_room(platform, place)
    package = await asyncio.to_thread(_starter, wanted)
    deployment = _deployment(place, connection, wanted, spec, await platform.packages.put(package))
    await open_deployment(platform.db, deployment)
    await deploy(platform, deployment.id, deployment.function_id)
    return await resource_of(platform, deployment.function_id)


def _starter(wanted: PlacedFunction) -> bytes:
    files = starter_files(wanted.runtime, wanted.handler)
    return build_package({path: text.encode() for path, text in files.items()})


def _require_offered(connection: CloudConnection, wanted: PlacedFunction) -> None:
    known, here = wanted.runtime in LAMBDA_RUNTIMES, connection.provider == LOCAL
    runs = wanted.runtime in RUNTIMES and RUNTIMES[wanted.runtime].convention is Convention.LAMBDA
    if not known and not (here and runs):
        raise InvalidRequestError(f"There is no runtime {wanted.runtime[:80]!r}", field="runtime", issue="unknown")
    if here and not runs:
        raise InvalidRequestError(
            f"This installation does not run {wanted.runtime}: link the project to a cloud account, or choose "
            "a runtime of Node.js, Python or your own program",
            field="runtime",
            issue="not offered here",
        )
    if wanted.region not in AWS_REGIONS and not (here and wanted.region == LOCAL):
        raise InvalidRequestError(f"There is no region {wanted.region[:80]!r}", field="region", issue="unknown")


def _spec(wanted: PlacedFunction) -> VersionSpec:
    return VersionSpec(
        runtime=wanted.runtime,
        convention=Convention.LAMBDA,
        handler=wanted.handler,
        timeout_s=lambda_rules.DEFAULT_TIMEOUT_S,
        memory_mb=lambda_rules.DEFAULT_MEMORY_MB,
        tmp_mb=lambda_rules.DEFAULT_STORAGE_MB,
        environment=wanted.environment,
        architecture=wanted.architecture,
    )


def _deployment(
    place: InEnvironment, connection: CloudConnection, wanted: PlacedFunction, spec: VersionSpec, sha256: str
) -> NewDeployment:
    function_id = new_function_id()
    account = place.environment.id if connection.provider == LOCAL else connection.cloud_account_id
    return NewDeployment(
        function_id=function_id,
        account_id=place.project.account_id,
        environment_id=place.environment.id,
        name=wanted.name,
        provider=connection.provider,
        placement=Placement(
            function_id=function_id,
            provider=connection.provider,
            connection_id=connection.id,
            account_id=account or "",
            region=wanted.region,
            name=lambda_rules.cloud_name(wanted.name),
        ),
        room=room_of(place),
        creates=True,
        spec=spec,
        upload_kind="zip",
        upload_sha256=sha256,
        settings=FunctionSettings(
            description=wanted.description,
            locked_variables=wanted.locked_variables,
            position_x=wanted.position_x,
            position_y=wanted.position_y,
            made_by=place.caller.person.id,
        ),
    )
