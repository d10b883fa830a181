"""Deployments through a running deployer, from the open row to its end, on a real database."""

import asyncio
import io
import zipfile
from dataclasses import replace

import pytest

from shared.database import functions
from shared.database.deployments import NewDeployment
from shared.database.functions import FunctionSettings
from shared.domain.errors import InvalidCodeError, InvalidPackageError, revive
from shared.domain.function import Convention, FunctionStatus
from shared.messages.messages import DeploymentFinished, FunctionChanged
from shared.packages.package import build_package
from tests.integration.database.world import spec
from tests.integration.deployer.yard import Yard

LAMBDA = spec(runtime="nodejs20.x", convention=Convention.LAMBDA)


@pytest.fixture(autouse=True)
async def _deployer(yard: Yard) -> None:
    await yard.start_deployer()


async def zip_deployment(yard: Yard, content: bytes, **changes: object) -> NewDeployment:
    sha256 = await yard.store.put(content)
    given = {"spec": LAMBDA, "upload_kind": "zip", "upload_sha256": sha256, "source": None, **changes}
    return yard.world.new_deployment("zipped", **given)


def change_of(new: NewDeployment, **changes: object) -> NewDeployment:
    """Return an update of the function that another deployment made."""
    return replace(NewDeployment(function_id=new.function_id, spec=new.spec), **changes)  # type: ignore[arg-type] # by name


async def test_source_becomes_a_package_with_one_file(yard: Yard) -> None:
    new = await yard.ask(yard.world.new_deployment("greeter", source="module.exports = () => 'é'"))

    assert (await yard.end_of(new)).error is None
    function = await yard.function(new)
    content = await yard.store.get(function.version.package_sha256)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {
            "index.js": "module.exports = () => 'é'"
        }
    assert function.status is FunctionStatus.ACTIVE
    assert await functions.get_source(yard.db, function.version.id) == "module.exports = () => 'é'"


async def test_a_zip_is_deployed_as_it_was_uploaded(yard: Yard) -> None:
    new = await yard.ask(await zip_deployment(yard, build_package({"index.js": b"1", "logo.png": b"\x89\0"})))

    assert (await yard.end_of(new)).error is None
    function = await yard.function(new)
    assert function.version.package_sha256 == new.upload_sha256
    assert function.version.spec == LAMBDA
    assert await functions.get_source(yard.db, function.version.id) is None


async def test_caches_hear_of_the_change_before_the_caller_hears_of_the_end(yard: Yard) -> None:
    new = await yard.ask(yard.world.new_deployment("greeter"))
    await yard.end_of(new)

    function = await yard.function(new)
    assert yard.notices == [
        FunctionChanged(
            function_id=function.id,
            environment_id=yard.world.environment_id,
            name="greeter",
            revision=function.revision,
        ),
        DeploymentFinished(deployment_id=new.id, function_id=new.function_id),
    ]


async def test_a_change_of_configuration_keeps_the_package_and_the_source(yard: Yard) -> None:
    first = await yard.ask(yard.world.new_deployment("greeter", source="module.exports = 1"))
    await yard.end_of(first)
    before = await yard.function(first)

    change = await yard.ask(change_of(first, spec=spec(timeout_s=7), settings=FunctionSettings(description="new")))

    assert (await yard.end_of(change)).error is None
    after = await yard.function(first)
    assert after.version.package_sha256 == before.version.package_sha256
    assert await functions.get_source(yard.db, after.version.id) == "module.exports = 1"
    assert (after.version.number, after.version.spec.timeout_s, after.description) == (2, 7, "new")
    assert after.revision > before.revision


async def test_source_that_does_not_compile_is_refused_and_the_name_is_free_again(yard: Yard) -> None:
    new = await yard.ask(yard.world.new_deployment("greeter", source="module.exports = {;"))

    record = (await yard.end_of(new)).error
    assert record is not None
    error = revive(record)
    assert isinstance(error, InvalidCodeError)
    assert (error.message, error.fields["line"]) == ("Unexpected token ';'", 1)
    assert "/function/index.js:1\n" in str(error.fields["stack"])
    again = await yard.ask(yard.world.new_deployment("greeter"))
    assert (await yard.end_of(again)).error is None


async def test_a_refused_update_leaves_the_function_as_it_was(yard: Yard) -> None:
    first = await yard.ask(yard.world.new_deployment("greeter"))
    await yard.end_of(first)
    before = await yard.function(first)

    bad = await yard.ask(
        change_of(first, upload_kind="source", source="}", settings=FunctionSettings(description="half done"))
    )

    assert (await yard.end_of(bad)).error is not None
    assert await yard.function(first) == before
    assert await yard.versions(first) == 1


@pytest.mark.parametrize(
    "content", [b"not a zip", build_package({}), b"PK\x03\x04"], ids=["no zip", "empty", "cut short"]
)
async def test_a_bad_package_is_refused_and_nothing_is_left(yard: Yard, content: bytes) -> None:
    new = await yard.ask(await zip_deployment(yard, content))

    record = (await yard.end_of(new)).error
    assert record is not None
    assert isinstance(revive(record), InvalidPackageError)
    assert (await yard.row(new)).error == record
    assert await yard.db.fetchval("SELECT count(*) FROM functions WHERE id = $1", new.function_id) == 0
    assert yard.dead == []


async def test_a_package_whose_runtime_starts_its_program_must_have_one(yard: Yard) -> None:
    provided = spec(runtime="provided.al2023", convention=Convention.LAMBDA)
    without = await yard.ask(await zip_deployment(yard, build_package({"main": b"1"}), spec=provided))
    record = (await yard.end_of(without)).error
    assert record is not None
    assert isinstance(revive(record), InvalidPackageError)
    assert "bootstrap" in revive(record).message

    node = await yard.ask(await zip_deployment(yard, build_package({"index.js": b"1"})))
    await yard.end_of(node)
    changed = await yard.ask(change_of(node, spec=provided))
    assert (await yard.end_of(changed)).error == record
    assert (await yard.function(node)).version.spec == LAMBDA

    fitting = await yard.ask(
        change_of(
            node,
            spec=provided,
            upload_kind="zip",
            upload_sha256=await yard.store.put(build_package({"bootstrap": b"#!/bin/sh\n"})),
        )
    )
    assert (await yard.end_of(fitting)).error is None
    assert (await yard.function(node)).version.spec == provided


async def test_the_syntax_of_lambda_functions_is_left_to_their_runtime(yard: Yard) -> None:
    new = await yard.ask(await zip_deployment(yard, build_package({"index.js": b"export const x = {;"})))

    assert (await yard.end_of(new)).error is None


async def test_the_same_package_may_be_deployed_again(yard: Yard) -> None:
    content = build_package({"index.js": b"1"})
    first = await yard.ask(await zip_deployment(yard, content))
    await yard.end_of(first)

    again = await yard.ask(change_of(first, upload_kind="zip", upload_sha256=first.upload_sha256))

    assert (await yard.end_of(again)).error is None
    assert await yard.versions(first) == 2


async def test_many_functions_are_deployed_at_once(yard: Yard) -> None:
    asked = [await yard.ask(yard.world.new_deployment(f"greeter-{number}")) for number in range(20)]

    ends = [await yard.end_of(new) for new in asked]

    assert [end.error for end in ends] == [None] * 20


async def test_a_large_package_does_not_hold_up_the_loop(yard: Yard) -> None:
    content = build_package({f"{number}.txt": bytes(20 << 20) for number in range(10)})
    turns = 0
    new = await yard.ask(await zip_deployment(yard, content))

    while not yard.ends(new):
        await asyncio.sleep(0.001)
        turns += 1

    # 200 MB take a quarter of a second at least to inflate; on the loop itself there would be a turn or two.
    assert yard.ends(new)[0].error is None
    assert turns > 50
