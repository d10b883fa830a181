"""A connection into the account of the fake AWS, and a function to be made there."""

from shared.database import cloud_connections
from shared.database.cloud_connections import CloudConnection
from shared.database.deployments import NewDeployment
from shared.database.functions import FunctionSettings
from shared.domain.ids import new_function_id, new_record_id
from shared.domain.placement import AWS, Placement
from shared.packages.package import build_package
from shared.packages.store import PackageStore
from tests.integration.database.world import World
from tests.support.cloud import SPEC
from tests.support.envelopes import an_envelope
from tests.support.fake_aws import ACCOUNT, EXTERNAL_ID, ROLE


async def connect(world: World) -> CloudConnection:
    """Return a connection through which the fake lets us in."""
    connection_id = new_record_id()
    await cloud_connections.insert_pending(
        world.db,
        connection_id=connection_id,
        account_id=world.first.account_id,
        provider=AWS,
        region="eu-west-1",
        sealed=await an_envelope().seal(EXTERNAL_ID.encode(), connection_id),
    )
    made = await cloud_connections.complete(
        world.db, connection_id, name="Prod", cloud_account_id=ACCOUNT, role_arn=ROLE
    )
    assert made is not None
    project_id = await world.db.fetchval("SELECT project_id FROM environments WHERE id = $1", world.environment_id)
    await cloud_connections.link(world.db, project_id, made.id)
    return made


async def a_create(
    world: World, packages: PackageStore, connection: CloudConnection, name: str = "thumbs"
) -> NewDeployment:
    """Return the deployment that makes a function there."""
    function_id = new_function_id()
    return NewDeployment(
        function_id=function_id,
        account_id=world.first.account_id,
        environment_id=world.environment_id,
        name=name,
        provider=AWS,
        creates=True,
        spec=SPEC,
        upload_kind="zip",
        upload_sha256=await packages.put(build_package({"lambda_function.py": b"x = 1\n"})),
        settings=FunctionSettings(description="makes thumbnails"),
        placement=Placement(
            function_id=function_id,
            provider=AWS,
            connection_id=connection.id,
            account_id=ACCOUNT,
            region="eu-west-1",
            name=name,
        ),
    )
