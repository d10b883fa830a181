"""Functions on AWS Lambda as the invoker calls them: answers, failures, log lines, and never twice."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.invoker.providers.aws import MAX_EVENT_BYTES, AwsRunner
from shared.cloud.aws.sessions import INVOKE, AwsConnection, AwsSessions
from shared.cloud.connections import Connections
from shared.domain.cloud_errors import CloudFunctionGoneError
from shared.domain.errors import PayloadTooLargeError, ThrottledError, UnavailableError
from shared.domain.function import Function, FunctionStatus, FunctionVersion, PermissionMode, RetryPolicy
from shared.domain.outcome import Interrupted, Raised, Report, Returned, TimedOut
from shared.process.aws_settings import AwsSettings
from tests.support.cloud import SPEC, Ground
from tests.support.eventually import eventually
from tests.support.fake_aws import AwsError, FakeAws, Invocation

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
FUNCTION = Function(
    id="fn_1",
    account_id="a",
    environment_id="e",
    name="thumbs",
    description="",
    status=FunctionStatus.ACTIVE,
    enabled=True,
    provider="aws",
    tags=(),
    permission_mode=PermissionMode.PUBLIC,
    default_priority=0,
    retry_policy=RetryPolicy(),
    revision=1,
    created_at=MOMENT,
    updated_at=MOMENT,
    version=FunctionVersion(
        id="v", number=1, spec=SPEC, package_sha256="0" * 64, code_hash="0" * 64, created_at=MOMENT
    ),
)


class OneConnection(Connections):
    """The connections of a process that has one."""

    def __init__(self, connection: AwsConnection) -> None:
        self._only = connection

    async def aws(self, connection_id: str) -> AwsConnection:
        assert connection_id == self._only.id
        return self._only


class Caller:
    """Calls the one function there is."""

    def __init__(self, ground: Ground, runner: AwsRunner) -> None:
        self._ground = ground
        self._runner = runner

    async def call(self, event: bytes = b"{}", *, limit_s: float = 20.0) -> Report:
        return await self._runner.run(FUNCTION, self._ground.placement(), event, limit_s=limit_s)


@pytest.fixture
async def caller(aws: FakeAws, ground: Ground, connection: AwsConnection) -> AsyncIterator[Caller]:
    await ground.deploy(await ground.desired())
    sessions = AwsSessions(AwsSettings(endpoint_url=aws.url), threads=2, config=INVOKE)
    yield Caller(ground, AwsRunner(sessions, OneConnection(connection)))
    if aws.hold is not None:
        aws.hold.set()
    await sessions.close()


async def test_a_function_gets_the_event_and_gives_result_and_lines(aws: FakeAws, caller: Caller) -> None:
    aws.invocation = Invocation(payload=b'{"sum": 3}', logs="START RequestId: x\nadding\nEND RequestId: x\n")

    report = await caller.call(b'{"a": 1}')

    assert report.outcome == Returned(result=b'{"sum": 3}')
    assert [line.text for line in report.logs] == ["adding"]
    assert aws.requests[-1] == ("Invoke", {"Payload": b'{"a": 1}', "LogType": "Tail"})


async def test_a_function_that_throws_is_a_report_and_no_error(aws: FakeAws, caller: Caller) -> None:
    aws.invocation = Invocation(payload=b'{"errorType":"E","errorMessage":"m"}', error="Unhandled")

    assert (await caller.call()).outcome == Raised(name="E", message="m")


async def test_throttling_and_a_function_that_is_gone_are_told_apart(aws: FakeAws, caller: Caller) -> None:
    aws.fail("Invoke", AwsError(429, "TooManyRequestsException", "Rate exceeded"))
    with pytest.raises(ThrottledError):
        await caller.call()

    aws.functions.clear()
    with pytest.raises(CloudFunctionGoneError):
        await caller.call()


async def test_a_fault_of_aws_in_the_middle_of_a_run_is_no_reason_to_run_it_again(aws: FakeAws, caller: Caller) -> None:
    aws.fail("Invoke", AwsError(500, "ServiceException", "oops"), AwsError(502, "EC2ThrottledException", "oops"))

    assert isinstance((await caller.call()).outcome, Interrupted)
    with pytest.raises(UnavailableError):
        await caller.call()
    assert aws.count("Invoke") == 2


async def test_an_event_that_is_larger_than_lambda_takes_is_refused_with_the_limit(
    aws: FakeAws, caller: Caller
) -> None:
    with pytest.raises(PayloadTooLargeError, match=r"6 MB") as caught:
        await caller.call(b" " * (MAX_EVENT_BYTES + 1))

    assert caught.value.fields["limit"] == MAX_EVENT_BYTES
    assert aws.count("Invoke") == 0


async def test_a_session_that_aws_takes_no_more_is_made_anew_and_the_function_called_once(
    aws: FakeAws, caller: Caller
) -> None:
    await caller.call()
    aws.fail("Invoke", AwsError(403, "ExpiredTokenException", "The security token included in the request is expired"))

    assert (await caller.call()).outcome == Returned(result=b"{}")
    assert aws.count("Invoke") == 3
    assert aws.count("AssumeRole") == 3


async def test_an_answer_that_does_not_come_in_time_is_a_time_out_and_the_function_is_called_once(
    aws: FakeAws, caller: Caller
) -> None:
    await caller.call()
    aws.hold = threading.Event()

    report = await caller.call(limit_s=0.2)

    assert report.outcome == TimedOut(limit_s=0.2)
    assert aws.count("Invoke") == 2


async def test_a_connection_that_is_lost_after_the_event_was_sent_is_no_second_call(
    aws: FakeAws, caller: Caller
) -> None:
    await caller.call()
    aws.drops_next = True

    report = await caller.call()

    assert isinstance(report.outcome, Interrupted)
    assert aws.count("Invoke") == 2


async def test_more_calls_than_threads_wait_and_those_that_never_begin_may_be_tried_again(
    aws: FakeAws, caller: Caller
) -> None:
    await caller.call()
    aws.hold = threading.Event()
    async with asyncio.TaskGroup() as tasks:
        held = [tasks.create_task(caller.call()) for _ in range(2)]
        await eventually(lambda: aws.count("Invoke") == 3)
        with pytest.raises(UnavailableError):
            await caller.call(limit_s=0.3)
        aws.hold.set()

    assert [each.result().outcome for each in held] == [Returned(result=b"{}")] * 2
    assert aws.count("Invoke") == 3
