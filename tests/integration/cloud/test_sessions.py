"""Entering customers' accounts: with the external id, into the right account, once until it ends, never forever."""

import asyncio
import threading
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.cloud.aws.sessions import AwsConnection, AwsSessions
from shared.domain.cloud_errors import CloudDeniedError, CloudRefusedError, CloudUnavailableError
from shared.domain.errors import UnavailableError
from shared.process.aws_settings import AwsSettings
from tests.support.eventually import eventually
from tests.support.fake_aws import AwsError, FakeAws

REGION = "eu-west-1"


async def ask(
    sessions: AwsSessions,
    connection: AwsConnection,
    region: str = REGION,
    *,
    paced: bool = False,
    deadline_s: float = 10.0,
) -> str:
    """Ask who we are; return the account."""
    answer = await sessions.call(
        connection,
        region,
        lambda sts: sts.get_caller_identity(),
        what="ask who we are",
        service="sts",
        deadline_s=deadline_s,
        paced=paced,
    )
    return str(answer["Account"])


async def test_an_account_is_entered_by_the_external_id_of_its_connection(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    assert await ask(sessions, connection) == connection.account_id
    _, request = aws.requests[0]

    assert aws.assumed == ["tidemill-con_1"]
    assert (request["ExternalId"], request["RoleArn"]) == (connection.external_id, connection.role_arn)


async def test_a_wrong_external_id_is_denied_with_what_to_do_and_without_the_id(
    sessions: AwsSessions, connection: AwsConnection
) -> None:
    with pytest.raises(CloudDeniedError) as caught:
        await ask(sessions, replace(connection, external_id="f" * 32))

    assert "CloudFormation" in str(caught.value.fields["suggestion"])
    assert "AssumeRole" in str(caught.value.fields["details"])
    assert "f" * 32 not in f"{caught.value.message}{caught.value.fields}{connection}"


async def test_another_account_than_that_of_the_role_is_not_worked_in(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    aws.account = "999988887777"

    with pytest.raises(CloudRefusedError, match="999988887777"):
        await sessions.check(connection, REGION)


async def test_an_account_is_entered_once_by_many_at_once(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    await asyncio.gather(*(ask(sessions, connection) for _ in range(10)))

    assert aws.count("AssumeRole") == 1


async def test_what_was_given_is_used_until_five_minutes_before_its_end(
    aws: FakeAws, connection: AwsConnection
) -> None:
    ends_at = 4_070_908_800  # 2099-01-01, as the fake says
    now = ends_at - 302.0
    sessions = AwsSessions(AwsSettings(endpoint_url=aws.url), clock=lambda: now)
    try:
        await ask(sessions, connection)
        now += 1
        await ask(sessions, connection)
        assert aws.count("AssumeRole") == 1
        now += 2
        await ask(sessions, connection)
        assert aws.count("AssumeRole") == 2
    finally:
        await sessions.close()


async def test_a_check_asks_anew_whatever_is_known(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    await ask(sessions, connection)
    aws.fail("AssumeRole", AwsError(403, "AccessDenied", "no longer"))

    with pytest.raises(CloudDeniedError):
        await sessions.check(connection, REGION)


async def test_no_aws_is_an_outage_not_a_refusal(connection: AwsConnection) -> None:
    sessions = AwsSessions(AwsSettings(endpoint_url="http://127.0.0.1:1"))
    try:
        with pytest.raises(UnavailableError):
            await ask(sessions, connection)
    finally:
        await sessions.close()


async def test_a_region_of_an_account_is_not_asked_more_often_than_aws_allows(
    aws: FakeAws, connection: AwsConnection
) -> None:
    sessions = AwsSessions(AwsSettings(endpoint_url=aws.url, calls_per_second=2))
    try:
        await ask(sessions, connection, paced=True)
        await ask(sessions, connection, paced=True)
        asked = aws.count("GetCallerIdentity")
        with pytest.raises(UnavailableError):
            await ask(sessions, connection, paced=True, deadline_s=0.1)
        assert aws.count("GetCallerIdentity") == asked

        await ask(sessions, connection)
        await ask(sessions, connection, "eu-north-1", paced=True)
        await ask(sessions, connection, paced=True)
    finally:
        await sessions.close()


async def test_a_call_ends_at_its_deadline(aws: FakeAws, sessions: AwsSessions, connection: AwsConnection) -> None:
    await ask(sessions, connection)
    with aws.lock, pytest.raises(UnavailableError, match=r"within 0\.05 s"):
        await sessions.call(
            connection,
            REGION,
            lambda sts: sts.get_caller_identity(),
            what="ask who we are",
            service="sts",
            deadline_s=0.05,
        )


async def test_what_aws_does_not_take_any_more_is_asked_for_anew_once(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    expired = AwsError(403, "ExpiredToken", "expired")
    await ask(sessions, connection)
    aws.fail("GetCallerIdentity", expired)
    await ask(sessions, connection)
    assert aws.count("AssumeRole") == 2

    aws.fail("GetCallerIdentity", expired, expired)
    with pytest.raises(CloudDeniedError):
        await ask(sessions, connection)


async def test_our_own_credentials_that_aws_does_not_take_are_no_fault_of_the_customers(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    aws.fail("AssumeRole", AwsError(403, "InvalidClientTokenId", "The security token is invalid"))

    with pytest.raises(CloudUnavailableError, match="own credentials"):
        await ask(sessions, connection)


async def test_a_role_that_aws_does_not_know_yet_is_waited_for_within_a_bound(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    denied = AwsError(403, "AccessDenied", "not authorized to perform: sts:AssumeRole")
    aws.fail("AssumeRole", denied, denied)
    await sessions.check(connection, REGION, patience_s=5)
    assert aws.count("AssumeRole") == 3

    aws.fail("AssumeRole", denied, denied)
    with pytest.raises(CloudDeniedError):
        await sessions.check(connection, REGION, patience_s=0.1)
    assert aws.count("AssumeRole") == 4


async def test_a_call_that_does_not_end_keeps_nobody_from_leaving(aws: FakeAws, connection: AwsConnection) -> None:
    sessions = AwsSessions(AwsSettings(endpoint_url=aws.url), threads=2)
    await ask(sessions, connection)
    aws.held["GetCallerIdentity"] = held = threading.Event()
    calls = aws.count("GetCallerIdentity")
    try:
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(given_up(ask(sessions, connection)))
            await eventually(lambda: aws.count("GetCallerIdentity") > calls)
            began = time.monotonic()
            await sessions.close()
            assert time.monotonic() - began < 10
            assert [thread.daemon for thread in threading.enumerate() if thread.name == "aws"] == [True]
            asking.cancel()
    finally:
        held.set()
    with pytest.raises(CloudUnavailableError, match="shutting down"):
        await ask(sessions, connection)


async def given_up(asking: Awaitable[object]) -> None:
    with suppress(asyncio.CancelledError):
        await asking
