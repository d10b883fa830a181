"""What an all-in-one takes for lost when it starts: everything on a database of its own, nothing on a shared one."""

import asyncio
from pathlib import Path

from shared.database import executions
from shared.database.pool import Database
from shared.domain.execution import ExecutionStatus
from tests.integration.database.world import World
from tests.support.platform import all_in_one


def test_a_start_on_a_shared_database_leaves_what_others_are_running(directory: Path, database_url: str) -> None:
    """That a start on its own database settles at once is seen in tests/e2e/test_restart.py."""
    execution_id = asyncio.run(_run_elsewhere(database_url))

    with all_in_one(directory, {"TIDEMILL_DATABASE_URL": database_url}):
        status = asyncio.run(_status(database_url, execution_id))

    assert status is ExecutionStatus.RUNNING


async def _run_elsewhere(database_url: str) -> str:
    """Return an execution that another invoker has just begun."""
    db = await Database.connect(database_url, max_size=1)
    try:
        world = await World.make(db)
        [execution_id] = await world.running(await world.function(), holder="invoker-elsewhere")
    finally:
        await db.close()
    return execution_id


async def _status(database_url: str, execution_id: str) -> ExecutionStatus | None:
    db = await Database.connect(database_url, max_size=1)
    try:
        found = await executions.find_execution(db, execution_id)
    finally:
        await db.close()
    return None if found is None else found.status
