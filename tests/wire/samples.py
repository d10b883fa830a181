"""
One full sample of each message: every field set, so that a golden shows all of it.

``python -m tests.wire.samples`` appends a golden for each message whose bytes differ from its newest one. A
golden that exists is never changed or removed: some process somewhere may still hold what it shows.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.domain.errors import ErrorRecord
from shared.domain.outcome import Failure, LogLine, Timings
from shared.messages import codec
from shared.messages.messages import (
    ApiAnswer,
    ApiCall,
    ApiRequestFinished,
    CredentialRevoked,
    DeployFunction,
    DeploymentFinished,
    ExecutionFinished,
    FunctionChanged,
    InvocationReply,
    InvokeFunction,
    LogLinesWritten,
    Message,
    PermissionsChanged,
    RunExecution,
    SecretsAsked,
    TasksWaiting,
)

GOLDEN = Path(__file__).parent / "golden" / "messages"

_ID = "65f0c0de0123456789abcdef"
_FUNCTION = "func_a1b2c3d4e5"
_CALL = ApiCall(method="POST", path="/orders/7?x=ä", user_id="0" * 24, application_id="1" * 24)
_ERROR = ErrorRecord(
    code="invocation.throttled", kind="throttled", message="Too many runs", fields={"limit": 10, "name": "f"}
)
_FAILURE = Failure(
    kind="raised", name="TypeError", message="x is not a function", stack="at f (index.js:1:1)", limit=3.5
)
_TIMINGS = Timings(queued_ms=0.25, worker_ms=1.5, load_ms=2.0, init_ms=30.125, handler_ms=4.75, cold_start=True)
_LINES = (
    LogLine(timestamp_ms=1_710_000_000_123, level="info", message="2024-03-09T…\tINFO\thello", text="hello"),
    LogLine(timestamp_ms=1_710_000_000_124, level="error", message="\tbell \u0007 and \U0001f30a", text=""),
)

SAMPLES: tuple[Message, ...] = (
    InvokeFunction(
        record_id=_ID,
        kind="api",
        function_id=_FUNCTION,
        revision=3,
        expires_at_ms=1_710_000_030_000,
        api_call=_CALL,
        payload=b'{"httpMethod":"POST"}\x00\xff',
        log_tail_bytes=4096,
        recorded='{"path":"/ä"}',
    ),
    InvocationReply(
        record_id=_ID,
        error=_ERROR,
        failure=_FAILURE,
        answer=ApiAnswer(status=201, headers={"content-type": "text/plain", "x-b": "2"}),
        defined=False,
        started_at_ms=1_710_000_000_100,
        finished_at_ms=1_710_000_000_200,
        duration_ms=98.5,
        cold_start=True,
        payload=b"\x89PNG\r\n",
        log_lines=2,
        dropped_log_lines=1,
        log_tail="2024-03-09T…\tINFO\thello\n",
    ),
    RunExecution(execution_id=_ID, function_id=_FUNCTION, revision=7),
    DeployFunction(deployment_id=_ID, function_id=_FUNCTION),
    FunctionChanged(
        function_id=_FUNCTION, environment_id="env_1", name="orders", revision=4, deleted=True, version_changed=False
    ),
    DeploymentFinished(deployment_id=_ID, function_id=_FUNCTION, error=_ERROR),
    CredentialRevoked(credential_sha256="ab" * 32),
    PermissionsChanged(account_id="1" * 24, user_ids=("2" * 24, "3" * 24)),
    TasksWaiting(),
    ExecutionFinished(
        execution_id=_ID,
        function_id=_FUNCTION,
        environment_id="env_1",
        version_id="ver_1",
        kind="neo",
        status="failed",
        params='{"a":1}',
        result="null",
        result_defined=True,
        failure=_FAILURE,
        started_at_ms=1_710_000_000_100,
        finished_at_ms=1_710_000_000_200,
        duration_ms=98.5,
        timings=_TIMINGS,
        lines=_LINES,
        dropped_log_lines=2,
        receipt='{"executionId":"exec_65f0c0de0123456789abcdef","signature":"00ff"}',
    ),
    ApiRequestFinished(
        request_id=_ID,
        function_id=_FUNCTION,
        environment_id="env_1",
        function_name="orders",
        call=_CALL,
        status_code=502,
        failure=_FAILURE,
        started_at_ms=1_710_000_000_100,
        duration_ms=98.5,
        timings=_TIMINGS,
        lines=_LINES,
        dropped_log_lines=2,
    ),
    LogLinesWritten(record_id=_ID, first_number=11, lines=_LINES),
    SecretsAsked(
        record_id=_ID,
        account_id="1" * 24,
        function_id=_FUNCTION,
        at_ms=1_710_000_000_100,
        granted=("price-api", "smtp.password"),
        denied=("unknown",),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Bytes some process once wrote. ``number`` counts up within a type and version."""

    type: str
    version: int
    number: int
    body: bytes


def goldens() -> list[Golden]:
    """Return every golden there is, oldest first within its type."""
    read = [orjson.loads(path.read_bytes()) for path in GOLDEN.glob("*.json")]
    found = [
        Golden(type=each["type"], version=each["version"], number=each["number"], body=base64.b64decode(each["body"]))
        for each in read
    ]
    return sorted(found, key=lambda golden: (golden.type, golden.version, golden.number))


def newest(message: Message) -> Golden | None:
    """Return the golden that must equal what is encoded now."""
    mine = [each for each in goldens() if (each.type, each.version) == (message.TYPE, message.VERSION)]
    return mine[-1] if mine else None


def _append(message: Message) -> None:
    last, body = newest(message), codec.encode(message)
    if last is not None and last.body == body:
        return
    number = 1 if last is None else last.number + 1
    header_end = 8 + int.from_bytes(body[:4], "big")
    content = {
        "type": message.TYPE,
        "version": message.VERSION,
        "number": number,
        "header": orjson.loads(body[8:header_end]),
        "body": base64.b64encode(body).decode(),
    }
    path = GOLDEN / f"{message.TYPE}.v{message.VERSION}.{number:03}.json"
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        _append(sample)
