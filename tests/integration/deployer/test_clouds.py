"""Functions at a cloud through a running deployer, on a real database and an AWS that takes its time."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.deployer.deploy import MAX_AT_CLOUDS
from services.deployer.providers.providers import Providers
from services.deployer.watch import watch
from shared.database import cloud_connections, deployments, functions, placements
from shared.database.deployments import NewDeployment
from shared.database.placements import Placed
from shared.domain.errors import ErrorRecord
from shared.domain.function import FunctionStatus
from shared.domain.placement import AWS, CloudState
from shared.messages.messages import FunctionChanged
from shared.process.aws_settings import AwsSettings
from shared.process.settings import Settings
from tests.integration.deployer.clouds import a_create, connect
from tests.integration.deployer.yard import Yard
from tests.support.cloud import SPEC
from tests.support.eventually import eventually
from tests.support.fake_aws import AwsError, FakeAws, fake_aws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    with fake_aws() as fake:
        yield fake


@pytest.fixture(autouse=True)
async def _deployer(yard: Yard, aws: FakeAws) -> None:
    await yard.start_deployer(
        replace(Settings(), aws=AwsSettings(endpoint_url=aws.url, patience_s=1, role_wait_s=0, calls_per_second=10_000))
    )


async def made(yard: Yard) -> NewDeployment:
    """Create a function and wait until its cloud is done with it."""
    new = await yard.ask(await a_create(yard.world, yard.store, await connect(yard.world)))
    assert (await yard.end_of(new)).error is None
    await eventually(lambda: is_in(yard, new, CloudState.ACTIVE), within_s=20)
    return new


async def change(yard: Yard, new: NewDeployment, **changes: Any) -> ErrorRecord | None:
    """Have a change carried out; return why it was refused, if it was."""
    asked = replace(NewDeployment(function_id=new.function_id, spec=SPEC), **changes)
    return (await yard.end_of(await yard.ask(asked))).error


async def placed(yard: Yard, new: NewDeployment) -> Placed:
    found = await placements.find_placed(yard.db, new.function_id)
    assert found is not None
    return found


async def is_in(yard: Yard, new: NewDeployment, state: CloudState) -> bool:
    return (await placed(yard, new)).state is state


async def test_a_create_ends_when_aws_has_taken_it_and_is_watched_until_it_can_run(yard: Yard, aws: FakeAws) -> None:
    aws.looks = 4
    new = await yard.ask(await a_create(yard.world, yard.store, await connect(yard.world)))

    assert (await yard.end_of(new)).error is None
    at_once = await placed(yard, new)
    assert (at_once.state, at_once.url) == (CloudState.CREATING, aws.functions["thumbs"].url)
    assert (await yard.function(new)).status is FunctionStatus.ACTIVE
    await eventually(lambda: is_in(yard, new, CloudState.ACTIVE), within_s=20)
    assert set(aws.functions["thumbs"].tags) == {
        "gateways:project",
        "gateways:environment",
        "gateways:resource-id",
        "tidemill:function",
    }


async def test_a_create_that_fails_after_it_was_taken_is_failed_with_its_reason(yard: Yard, aws: FakeAws) -> None:
    aws.becomes["create"] = {"State": "Failed", "StateReason": "no address left in the subnet"}
    new = await yard.ask(await a_create(yard.world, yard.store, await connect(yard.world)))

    await eventually(lambda: is_in(yard, new, CloudState.FAILED), within_s=20)

    assert (await placed(yard, new)).reason == "no address left in the subnet"


async def test_a_create_that_is_refused_leaves_nothing_and_its_name_is_free(yard: Yard, aws: FakeAws) -> None:
    connection = await connect(yard.world)
    aws.fail("CreateFunction", AwsError(403, "AccessDeniedException", "not authorized to perform: iam:PassRole"))
    new = await yard.ask(await a_create(yard.world, yard.store, connection))

    error = (await yard.end_of(new)).error

    assert error is not None
    assert (error.code, error.fields["details"]) == ("cloud.denied", "not authorized to perform: iam:PassRole")
    assert await functions.count_functions(yard.db, yard.world.first.account_id) == 0
    assert await placements.find_placed(yard.db, new.function_id) is None
    again = await yard.ask(await a_create(yard.world, yard.store, connection))
    assert (await yard.end_of(again)).error is None


async def test_a_name_that_somebody_elses_function_has_is_refused(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    aws.functions["thumbs"].tags.clear()
    await yard.db.execute("UPDATE placements SET removed_at = now()")
    await functions.delete_function(yard.db, new.function_id)

    (connection,) = await cloud_connections.list_connections(yard.db, yard.world.first.account_id, provider=AWS)
    again = await yard.ask(await a_create(yard.world, yard.store, connection))
    error = (await yard.end_of(again)).error

    assert error is not None
    assert error.code == "function.name_taken"
    assert "thumbs" in aws.functions


async def test_a_change_is_active_when_it_ends(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)

    error = await change(yard, new, spec=replace(SPEC, memory_mb=256, architecture="x86_64"))

    assert error is None
    assert (await yard.function(new)).version.spec == replace(SPEC, memory_mb=256, architecture="x86_64")
    assert (await placed(yard, new)).state is CloudState.ACTIVE
    assert aws.functions["thumbs"].configuration["MemorySize"] == 256


async def test_a_change_that_is_refused_leaves_the_function_as_it_was_in_both_places(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    before = await yard.function(new)
    aws.fail("UpdateFunctionCode", AwsError(400, "InvalidParameterValueException", "too large"))

    error = await change(yard, new, spec=replace(SPEC, memory_mb=256, architecture="x86_64"))

    assert error is not None
    assert error.code == "cloud.refused"
    assert await yard.function(new) == before
    assert aws.functions["thumbs"].configuration["MemorySize"] == 128
    assert await change(yard, new, spec=replace(SPEC, memory_mb=512)) is None


THROTTLED = AwsError(429, "TooManyRequestsException", "Rate exceeded")


async def test_a_create_that_aws_cannot_do_now_is_refused_after_a_while_and_may_be_asked_for_again(
    yard: Yard, aws: FakeAws
) -> None:
    aws.fail("CreateFunction", *[THROTTLED] * 100)
    connection = await connect(yard.world)
    error = (await yard.end_of(await yard.ask(await a_create(yard.world, yard.store, connection)))).error

    assert error is not None
    assert (error.code, error.fields["details"]) == ("cloud.unavailable", "Rate exceeded")
    assert error.fields["suggestion"]
    assert yard.dead == []
    assert await functions.count_functions(yard.db, yard.world.first.account_id) == 0
    aws.fails.clear()
    again = await yard.ask(await a_create(yard.world, yard.store, connection))
    assert (await yard.end_of(again)).error is None


async def test_an_aws_that_is_out_of_reach_ends_every_deployment_with_what_to_do(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    refused = AwsError(503, "ServiceUnavailableException", "down")
    for action in ("GetFunction", "DeleteFunction", "UpdateFunctionConfiguration"):
        aws.fail(action, *[refused] * 100)

    for asked in ({"action": "sync"}, {"action": "remove"}, {"spec": replace(SPEC, memory_mb=256)}):
        error = await change(yard, new, **asked)
        assert error is not None
        assert error.code == "cloud.unavailable"
        assert error.fields["suggestion"]
        assert (await yard.function(new)).status is FunctionStatus.ACTIVE
    assert (await placed(yard, new)).state is CloudState.ACTIVE
    assert yard.dead == []


async def test_half_a_change_that_cannot_be_undone_at_once_is_taken_back_when_aws_is_there_again(
    yard: Yard, aws: FakeAws
) -> None:
    new = await made(yard)
    before = await yard.function(new)
    aws.fail("UpdateFunctionCode", *[THROTTLED] * 100)
    asked = await yard.ask(
        NewDeployment(function_id=new.function_id, spec=replace(SPEC, memory_mb=256, architecture="x86_64"))
    )
    await eventually(lambda: aws.count("UpdateFunctionCode"), within_s=20)
    aws.fail("UpdateFunctionConfiguration", *[THROTTLED] * 100)

    error = (await yard.end_of(asked)).error
    assert error is not None
    assert error.code == "cloud.unavailable"
    assert aws.functions["thumbs"].configuration["MemorySize"] == 256
    assert (await placed(yard, new)).state is CloudState.UPDATING

    aws.fails.clear()
    await eventually(lambda: is_in(yard, new, CloudState.ACTIVE), within_s=20)
    assert aws.functions["thumbs"].configuration["MemorySize"] == 128
    assert await yard.function(new) == before


async def test_a_create_that_was_given_up_is_taken_away_where_it_was_made(yard: Yard, aws: FakeAws) -> None:
    aws.fail("CreateFunctionUrlConfig", *[AwsError(400, "InvalidParameterValueException", "no")])
    aws.fail("DeleteFunction", *[AwsError(403, "AccessDeniedException", "not yet")])
    aws.held["GetFunctionUrlConfig"] = held = threading.Event()
    new = await yard.ask(await a_create(yard.world, yard.store, await connect(yard.world)))
    await eventually(lambda: "thumbs" in aws.functions and aws.count("GetFunctionUrlConfig"), within_s=20)

    await deployments.give_up(yard.db, new.id, ErrorRecord(code="internal.unexpected", kind="internal", message="dead"))
    held.set()

    async def looked_for() -> bool:
        await yard.db.execute("UPDATE leftovers SET due_at = now()")
        return not aws.functions

    await eventually(looked_for, within_s=20)
    assert await yard.db.fetchval("SELECT count(*) FROM leftovers") == 1

    async def is_forgotten() -> bool:
        # Again and again: a look that had begun before puts it off by what it knew then.
        await yard.db.execute("UPDATE leftovers SET left_at = now() - interval '1 hour', due_at = now()")
        return bool(await yard.db.fetchval("SELECT count(*) = 0 FROM leftovers"))

    await eventually(is_forgotten, within_s=20)


async def test_what_somebody_else_makes_between_our_look_and_our_create_is_theirs(yard: Yard, aws: FakeAws) -> None:
    connection = await connect(yard.world)
    aws.held["CreateFunction"] = held = threading.Event()
    new = await yard.ask(await a_create(yard.world, yard.store, connection))
    await eventually(lambda: aws.count("CreateFunction"), within_s=20)
    aws.create({"FunctionName": "thumbs", "Code": {"ZipFile": ""}, "MemorySize": 128, "Timeout": 3})
    held.set()

    error = (await yard.end_of(new)).error

    assert error is not None
    assert error.code == "function.name_taken"
    assert "thumbs" in aws.functions


async def test_a_delete_while_aws_changes_the_function_waits_for_it(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    busy = AwsError(409, "ResourceConflictException", "The operation cannot be performed at this time")
    aws.fail("DeleteFunction", *[busy] * 100)
    error = await change(yard, new, action="remove")
    assert error is not None
    assert error.code == "cloud.unavailable"
    assert (await yard.function(new)).status is FunctionStatus.ACTIVE

    aws.fails.clear()
    aws.fail("DeleteFunction", busy, busy)
    assert await change(yard, new, action="remove") is None
    assert aws.functions == {}


async def test_a_sync_takes_over_what_was_changed_at_the_cloud(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    aws.functions["thumbs"].configuration |= {"MemorySize": 1024, "Timeout": 7, "Description": "by hand"}

    assert await change(yard, new, action="sync") is None

    function = await yard.function(new)
    assert (function.version.spec.memory_mb, function.version.spec.timeout_s) == (1024, 7)
    assert function.description == "by hand"
    versions = await yard.versions(new)
    assert await change(yard, new, action="sync") is None
    assert await yard.versions(new) == versions
    assert aws.count("UpdateFunctionConfiguration") == 0


async def test_a_sync_of_a_function_that_is_gone_says_so_and_marks_it_failed(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    aws.functions.clear()

    error = await change(yard, new, action="sync")

    assert error is not None
    assert error.code == "cloud.function_gone"
    assert error.message == 'Function "thumbs" was not found in AWS. It may have been deleted.'
    assert (await placed(yard, new)).state is CloudState.FAILED
    assert await change(yard, new) is None
    await eventually(lambda: is_in(yard, new, CloudState.ACTIVE), within_s=20)


async def test_a_function_is_removed_there_before_it_is_removed_here(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    aws.fail("DeleteFunction", AwsError(403, "AccessDeniedException", "no"))

    error = await change(yard, new, action="remove")
    assert error is not None
    assert error.code == "cloud.denied"
    assert (await yard.function(new)).status is FunctionStatus.ACTIVE

    assert await change(yard, new, action="remove") is None
    assert await functions.find_function(yard.db, new.function_id) is None
    assert aws.functions == {}
    gone = [each for each in yard.notices if isinstance(each, FunctionChanged) and each.deleted]
    assert [each.function_id for each in gone] == [new.function_id]


async def test_a_connection_that_was_closed_is_not_worked_through(yard: Yard, aws: FakeAws) -> None:
    new = await made(yard)
    calls = len(aws.calls)
    await yard.db.execute("UPDATE cloud_connections SET status = 'failed'")

    error = await change(yard, new, action="sync")

    assert error is not None
    assert error.code == "cloud.not_connected"
    assert len(aws.calls) == calls


async def test_nothing_is_looked_at_that_its_cloud_is_done_with(yard: Yard, aws: FakeAws) -> None:
    await made(yard)
    calls = len(aws.calls)

    assert await watch(yard.db, Providers({}), older_than_s=0) == 0
    assert len(aws.calls) == calls


async def test_deployments_that_a_cloud_holds_up_do_not_hold_up_those_of_our_own_machines(
    yard: Yard, aws: FakeAws
) -> None:
    connection = await connect(yard.world)
    aws.held["CreateFunction"] = held = threading.Event()
    slow = [await yard.ask(await a_create(yard.world, yard.store, connection, f"slow-{n}")) for n in range(20)]
    await eventually(lambda: aws.count("CreateFunction") >= MAX_AT_CLOUDS, within_s=20)

    here = await yard.ask(yard.world.new_deployment("greeter"))
    assert (await yard.end_of(here)).error is None
    assert not any(yard.ends(new) for new in slow)

    held.set()
    for new in slow:
        assert (await yard.end_of(new)).error is None


async def test_functions_of_our_own_machines_sync_and_go_without_a_cloud(yard: Yard, aws: FakeAws) -> None:
    new = await yard.ask(yard.world.new_deployment("greeter"))
    assert (await yard.end_of(new)).error is None
    spec = (await yard.function(new)).version.spec

    assert await change(yard, new, action="sync", spec=spec) is None
    assert await yard.versions(new) == 1
    assert await change(yard, new, action="remove", spec=spec) is None
    assert await functions.find_function(yard.db, new.function_id) is None
    assert aws.calls == []
