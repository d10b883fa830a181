"""What a running platform still needs is kept by the sweep, and all else of earlier changes goes."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from services.deployer.sweep import sweep
from shared.database import deployments, executions, functions
from shared.database.deployments import NewDeployment
from shared.domain.errors import InvalidPackageError
from shared.packages.package import build_package
from tests.integration.database.world import claim, success
from tests.integration.deployer.yard import Yard
from tests.support.eventually import eventually

HOUR_S = 3600.0


async def deployed(yard: Yard, name: str, source: str) -> NewDeployment:
    new = await yard.ask(yard.world.new_deployment(name, source=source))
    assert (await yard.end_of(new)).error is None
    return new


async def redeployed(yard: Yard, first: NewDeployment, source: str) -> None:
    change = NewDeployment(function_id=first.function_id, spec=first.spec, upload_kind="source", source=source)
    await yard.ask(change)
    assert (await yard.end_of(change)).error is None


async def an_hour_later(yard: Yard) -> None:
    moments = {"package_uses": "used_at", "function_versions": "created_at", "functions": "deleted_at"}
    for table, column in moments.items():
        await yard.db.execute(f"UPDATE {table} SET {column} = {column} - $1::interval", timedelta(seconds=HOUR_S + 1))


async def kept(yard: Yard) -> set[str]:
    return {row["sha256"] for row in await yard.db.fetch("SELECT sha256 FROM packages")}


def package(source: str) -> bytes:
    return build_package({"index.js": source.encode()})


async def digest_of(yard: Yard, source: str) -> str:
    return await yard.store.put(package(source))


async def test_only_the_active_version_of_a_function_is_kept(yard: Yard) -> None:
    await yard.start_deployer()
    new = await deployed(yard, "greeter", "module.exports = 1")
    await redeployed(yard, new, "module.exports = 2")
    await redeployed(yard, new, "module.exports = 3")
    await an_hour_later(yard)

    await sweep(yard.db, yard.store, older_than_s=HOUR_S)

    function = await yard.function(new)
    assert await kept(yard) == {function.version.package_sha256}
    assert (await yard.versions(new), function.version.number) == (1, 3)
    await redeployed(yard, new, "module.exports = 1")
    assert (await yard.function(new)).version.number == 4


async def test_a_version_that_was_replaced_a_moment_ago_is_kept(yard: Yard) -> None:
    await yard.start_deployer()
    new = await deployed(yard, "greeter", "module.exports = 1")
    await an_hour_later(yard)
    await redeployed(yard, new, "module.exports = 2")

    await sweep(yard.db, yard.store, older_than_s=HOUR_S)

    assert await yard.versions(new) == 2
    assert len(await kept(yard)) == 2


async def test_nothing_of_a_deleted_function_is_kept(yard: Yard) -> None:
    await yard.start_deployer()
    new = await deployed(yard, "greeter", "module.exports = 1")
    await functions.delete_function(yard.db, new.function_id)
    await sweep(yard.db, yard.store, older_than_s=HOUR_S)
    assert await yard.versions(new) == 1
    await an_hour_later(yard)

    await sweep(yard.db, yard.store, older_than_s=HOUR_S)

    assert await yard.versions(new) == 0
    assert await kept(yard) == set()


async def test_a_version_that_a_run_names_is_kept_until_the_run_has_its_receipt(yard: Yard) -> None:
    await yard.start_deployer()
    new = await deployed(yard, "greeter", "module.exports = 1")
    function = await yard.function(new)
    [run] = await executions.accept(yard.db, [yard.world.execution(function)])
    await executions.claim(yard.db, [replace(claim(run.id), version_id=function.version.id)])
    await redeployed(yard, new, "module.exports = 2")
    await an_hour_later(yard)

    await sweep(yard.db, yard.store, older_than_s=HOUR_S)
    assert await yard.versions(new) == 2
    await executions.settle(yard.db, [success(run.id)])
    await sweep(yard.db, yard.store, older_than_s=HOUR_S)
    assert await yard.versions(new) == 2
    await yard.db.execute("UPDATE executions SET receipt = '{}'")
    await sweep(yard.db, yard.store, older_than_s=HOUR_S)

    assert await yard.versions(new) == 1
    assert len(await kept(yard)) == 1


async def test_an_upload_is_kept_as_long_as_its_deployment_has_not_ended(yard: Yard) -> None:
    sha256 = await yard.store.put(b"no zip")
    new = yard.world.new_deployment("zipped", upload_kind="zip", upload_sha256=sha256, source=None)
    await deployments.open_deployment(yard.db, new)
    await an_hour_later(yard)

    await sweep(yard.db, yard.store, older_than_s=HOUR_S)
    assert await kept(yard) == {sha256}
    pending = await deployments.claim_deployment(yard.db, new.id)
    assert pending is not None
    await deployments.refuse(yard.db, pending, InvalidPackageError("no zip").record())
    await sweep(yard.db, yard.store, older_than_s=HOUR_S)

    assert await kept(yard) == set()


async def test_a_package_that_is_swept_while_it_is_deployed_again_is_there_for_its_version(yard: Yard) -> None:
    await yard.start_deployer()
    sha256 = await digest_of(yard, "module.exports = 1")
    await an_hour_later(yard)
    yard.store.may_delete.clear()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sweep(yard.db, yard.store, older_than_s=HOUR_S))
        await eventually(lambda: yard.store.deleting)
        new = await yard.ask(yard.world.new_deployment("greeter", source="module.exports = 1"))
        await eventually(lambda: waits_for_a_lock(yard))
        yard.store.may_delete.set()

    assert (await yard.end_of(new)).error is None
    assert (await yard.function(new)).version.package_sha256 == sha256
    assert await yard.store.get(sha256) == package("module.exports = 1")


async def test_what_a_deployment_has_built_is_kept_however_long_it_takes(yard: Yard) -> None:
    await yard.start_deployer()
    sha256 = await digest_of(yard, "module.exports = 1")
    yard.store.gate.clear()
    new = await yard.ask(yard.world.new_deployment("greeter", source="module.exports = 1"))
    await eventually(lambda: yard.store.waiting)
    await an_hour_later(yard)

    await sweep(yard.db, yard.store, older_than_s=HOUR_S)

    assert await kept(yard) == {sha256}
    yard.store.gate.set()
    assert (await yard.end_of(new)).error is None


async def waits_for_a_lock(yard: Yard) -> bool:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await yard.db.fetchval(sql))
