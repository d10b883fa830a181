"""
One invocation from command to outcome, read top to bottom.

``answer`` serves a synchronous call: find the function (a cache), run it in the pool, judge the answer of an
API function, hand the record to the logger, reply. No database is touched. What the user's function did
wrong travels as a ``Failure``; what we could not do travels as an ``ErrorRecord``. Nothing is raised.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from services.invoker import api_response
from services.invoker.host_services.services import HostServices
from services.invoker.pool.pool import FunctionCode, Invocation, WorkerPool
from services.invoker.providers.clouds import Clouds
from services.invoker.receipts import Receipts, ended_run
from services.invoker.redaction import Redactor
from services.invoker.vault import OpenedSecrets, Vault
from shared.database.function_cache import FunctionCache
from shared.domain.errors import PlatformError
from shared.domain.execution import ExecutionKind
from shared.domain.function import Convention, Function
from shared.domain.outcome import Failure, Oversized, Report, Returned, failure_of
from shared.domain.placement import LOCAL
from shared.messages.messages import (
    ApiAnswer,
    ApiRequestFinished,
    ExecutionFinished,
    InvocationReply,
    InvokeFunction,
    LogLinesWritten,
    Record,
    SecretsAsked,
)

API_FAILURE_STATUS = 400
"""What a failed call of an API function answers, whatever failed (contracts/extrahorizon.md section 5)."""


NEO_RESULT_BYTES = 1 << 20
"""The largest result of a run asked for through Neo (contracts/neo.md section 3.6); the engine allows 6 MiB."""

_LONG_LOG = 64 * 1024


class Invoker:
    """
    Runs functions for callers who wait. One per process; holds no state between calls.

    Without ``services`` no function may call its host; without ``clouds`` only those on our own machines run.
    """

    def __init__(
        self,
        functions: FunctionCache,
        vault: Vault,
        pool: WorkerPool,
        record: Callable[[Record], None],
        receipts: Receipts,
        services: HostServices | None = None,
        clouds: Clouds | None = None,
    ) -> None:
        self._functions = functions
        self._vault = vault
        self._pool = pool
        self._record = record
        self._receipts = receipts
        self._services = services
        self._clouds = clouds

    async def answer(self, command: InvokeFunction) -> InvocationReply:
        """Run the function a command names and return the reply."""
        try:
            function = await self._functions.get(command.function_id, revision=command.revision)
            report = await self.run(
                function,
                command.kind,
                command.record_id,
                command.payload,
                deadline_s=(command.expires_at_ms - _now_ms()) / 1000,
            )
        except PlatformError as error:
            return self._refuse(command, error)
        if command.api_call is not None:
            return self._answer_api_call(command, function, report)
        if command.kind == ExecutionKind.DIRECT:
            return self._answer_direct(command, report)
        return self._answer_execution(command, function, report)

    async def run(
        self,
        function: Function,
        kind: str,
        record_id: str,
        event: bytes,
        *,
        deadline_s: float,
        wait_s: float | None = None,
        on_start: Callable[[], None] | None = None,
    ) -> Report:
        """
        Run a function once on an event; raise ``PlatformError`` when it could not be started.

        ``deadline_s`` bounds waiting for a worker and running together; with ``wait_s`` the waiting has a bound
        of its own. Until ``on_start`` is called nothing has seen the event.
        """
        if function.provider != LOCAL and self._clouds is not None:
            if on_start is not None:
                on_start()
            report = await self._clouds.run(function, event, deadline_s=deadline_s, wait_s=wait_s)
            return _bounded(report, NEO_RESULT_BYTES) if kind == ExecutionKind.NEO else report
        began = time.monotonic()
        secrets = await self._vault.open(function)
        spent_s = time.monotonic() - began if wait_s is None else 0.0
        is_neo = function.version.spec.convention is Convention.NEO
        report = await self._pool.invoke(
            code_of(function),
            Invocation(
                request_id=str(uuid.uuid4()),
                event=event,
                deadline_s=deadline_s - spent_s,
                wait_s=wait_s,
                context=_neo_context(record_id) if is_neo else {},
                services=self._services if is_neo else None,
                secrets=secrets.values,
                on_start=on_start,
            ),
        )
        if secrets.granted or secrets.denied:
            self._record(_asked(record_id, function, secrets))
            report = await _without(secrets.redactor, report)
        return _bounded(report, NEO_RESULT_BYTES) if kind == ExecutionKind.NEO else report

    def _answer_api_call(self, command: InvokeFunction, function: Function, report: Report) -> InvocationReply:
        failure = failure_of(report.outcome)
        answer, body = None, b""
        if isinstance(report.outcome, Returned):
            judged = api_response.read_api_response(report.outcome.result)
            if isinstance(judged, api_response.InvalidResponse):
                failure = Failure(kind="invalid_response", name=judged.name, message=judged.message)
            else:
                answer, body = ApiAnswer(status=judged.status, headers=judged.headers), judged.body
        reply = _reply(command, report, failure, answer=answer, payload=body)
        self._record(_api_request(command, function, report, reply))
        return reply

    def _answer_execution(self, command: InvokeFunction, function: Function, report: Report) -> InvocationReply:
        result = report.outcome.result if isinstance(report.outcome, Returned) else b""
        reply = _reply(command, report, failure_of(report.outcome), payload=result)
        if command.log_tail_bytes:
            reply = replace(reply, log_tail=log_tail(report, command.log_tail_bytes))
        record = _execution(command, function, report, reply)
        if command.kind == ExecutionKind.NEO:
            record = replace(record, receipt=self._receipts.at_once(ended_run(record, function.version.code_hash)))
        self._record(record)
        return reply

    def _answer_direct(self, command: InvokeFunction, report: Report) -> InvocationReply:
        """Answer a direct task; its row is the api's, which holds its lease."""
        if report.logs:
            self._record(LogLinesWritten(record_id=command.record_id, first_number=0, lines=report.logs))
        result = report.outcome.result if isinstance(report.outcome, Returned) else b""
        return _reply(command, report, failure_of(report.outcome), payload=result)

    def _refuse(self, command: InvokeFunction, error: PlatformError) -> InvocationReply:
        """
        Reply with an error of ours.

        The api records a refused call of an API function: it alone knows what the caller is told. A refused
        execution was never accepted, so it leaves no record.
        """
        now = _now_ms()
        return InvocationReply(record_id=command.record_id, error=error.record(), started_at_ms=now, finished_at_ms=now)


def _bounded(report: Report, limit_bytes: int) -> Report:
    """Return the report, its result refused if it is larger than the dialect takes."""
    if not isinstance(report.outcome, Returned) or len(report.outcome.result) <= limit_bytes:
        return report
    return replace(report, outcome=Oversized(size_bytes=len(report.outcome.result), limit_bytes=limit_bytes))


def log_tail(report: Report, most_bytes: int) -> str:
    """Return the last lines of a run that fit; of one that is longer than all its end. A cloud's own words go first."""
    if report.tail:
        return report.tail.encode(errors="replace")[-most_bytes:].decode(errors="replace")
    kept: list[bytes] = []
    left = most_bytes
    for line in reversed(report.logs):
        encoded = line.message.encode(errors="replace") + b"\n"
        if len(encoded) > left:
            if not kept:
                kept.append(encoded[-left:])
            break
        kept.append(encoded)
        left -= len(encoded)
    return b"".join(reversed(kept)).decode(errors="replace")


def code_of(function: Function) -> FunctionCode:
    """Return what the engine needs of a function's active version."""
    version = function.version
    spec = version.spec
    return FunctionCode(
        version_id=version.id,
        function_id=function.id,
        name=function.name,
        runtime=spec.runtime,
        convention=spec.convention,
        handler=spec.handler,
        memory_mb=spec.memory_mb,
        timeout_s=spec.timeout_s,
        tmp_mb=spec.tmp_mb,
        environment=spec.environment,
        package_sha256=version.package_sha256,
    )


def _reply(
    command: InvokeFunction,
    report: Report,
    failure: Failure | None,
    *,
    answer: ApiAnswer | None = None,
    payload: bytes = b"",
) -> InvocationReply:
    finished = _now_ms()
    duration = report.timings.init_ms + report.timings.handler_ms
    return InvocationReply(
        record_id=command.record_id,
        failure=failure,
        answer=answer,
        defined=not isinstance(report.outcome, Returned) or report.outcome.defined,
        started_at_ms=finished - round(duration),
        finished_at_ms=finished,
        duration_ms=duration,
        cold_start=report.timings.cold_start,
        payload=payload,
        log_lines=len(report.logs),
        dropped_log_lines=report.dropped_log_lines,
    )


def _api_request(
    command: InvokeFunction, function: Function, report: Report, reply: InvocationReply
) -> ApiRequestFinished:
    assert command.api_call is not None  # the caller chose this record because of it
    return ApiRequestFinished(
        request_id=command.record_id,
        function_id=function.id,
        environment_id=function.environment_id,
        function_name=function.name,
        call=command.api_call,
        status_code=reply.answer.status if reply.answer is not None else API_FAILURE_STATUS,
        failure=reply.failure,
        started_at_ms=reply.started_at_ms,
        duration_ms=reply.duration_ms,
        timings=report.timings,
        lines=report.logs,
        dropped_log_lines=report.dropped_log_lines,
    )


def _execution(
    command: InvokeFunction, function: Function, report: Report, reply: InvocationReply
) -> ExecutionFinished:
    shows_result = reply.failure is None and command.recorded is None
    return ExecutionFinished(
        execution_id=command.record_id,
        function_id=function.id,
        environment_id=function.environment_id,
        version_id=function.version.id,
        kind=command.kind,
        status="completed" if reply.failure is None else "failed",
        params=command.payload.decode() if command.recorded is None else command.recorded,
        result=reply.payload.decode() if shows_result else None,
        result_defined=shows_result and reply.defined,
        failure=reply.failure,
        started_at_ms=reply.started_at_ms,
        finished_at_ms=reply.finished_at_ms,
        duration_ms=reply.duration_ms,
        timings=report.timings,
        lines=report.logs,
        dropped_log_lines=report.dropped_log_lines,
    )


async def _without(redactor: Redactor, report: Report) -> Report:
    """Return the report without the values of secrets; a long log is gone through beside the event loop."""
    if sum(len(line.text) for line in report.logs) < _LONG_LOG:
        return redactor.report(report)
    return await asyncio.to_thread(redactor.report, report)


def _asked(record_id: str, function: Function, secrets: OpenedSecrets) -> SecretsAsked:
    return SecretsAsked(
        record_id=record_id,
        account_id=function.account_id,
        function_id=function.id,
        at_ms=_now_ms(),
        granted=secrets.granted,
        denied=secrets.denied,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _neo_context(record_id: str) -> dict[str, str]:
    """Return what ``context.execution`` shows (contracts/neo.md section 4)."""
    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"execution_id": f"exec_{record_id}", "started_at": started_at}
