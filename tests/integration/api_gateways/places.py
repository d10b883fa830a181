"""Functions in environments of the Gateways dialect, kept without a deployer."""

from dataclasses import replace

from shared.database import deployments
from shared.database.deployments import NewDeployment
from shared.database.pool import Database
from shared.domain.function import Convention, VersionSpec
from shared.domain.ids import new_function_id
from shared.domain.placement import Placement

SPEC = VersionSpec(
    runtime="nodejs20.x", convention=Convention.LAMBDA, handler="index.handler", timeout_s=30, memory_mb=128
)
PACKAGE = "0" * 64


async def keep_function(
    db: Database, project: str, name: str, *, connection: int | None = None, spec: VersionSpec = SPEC
) -> tuple[str, int]:
    """Keep a function in an environment of a project, at a connection if one is given; return its id and number."""
    row = await db.fetchrow(
        """
        SELECT e.id AS environment_id, p.account_id, c.id AS connection_id, coalesce(c.provider, 'local') AS provider
        FROM projects p JOIN environments e ON e.project_id = p.id LEFT JOIN cloud_connections c ON c.number = $2
        WHERE p.slug = $1
        """,
        project,
        connection,
    )
    assert row is not None
    new = NewDeployment(
        function_id=new_function_id(),
        account_id=row["account_id"],
        environment_id=row["environment_id"],
        name=name,
        provider=row["provider"],
        creates=True,
        spec=spec,
        upload_kind="zip",
        upload_sha256=PACKAGE,
    )
    if connection is not None:
        placement = Placement(
            function_id=new.function_id,
            provider=row["provider"],
            connection_id=row["connection_id"],
            account_id="111122223333",
            region="eu-west-1",
            name=name,
        )
        new = replace(new, placement=placement)
    await deployments.open_deployment(db, new)
    claimed = await deployments.claim_deployment(db, new.id)
    assert claimed is not None
    function = await deployments.succeed(db, claimed, PACKAGE, None)
    number: int = await db.fetchval("SELECT number FROM functions WHERE id = $1", function.id)
    return function.id, number
