"""Messages for the tests of the bus, with ids of their own."""

import time

from shared.domain.ids import new_record_id
from shared.domain.outcome import LogLine
from shared.messages.messages import (
    DeployFunction,
    FunctionChanged,
    InvocationReply,
    InvokeFunction,
    LogLinesWritten,
    RunExecution,
)


def a_call(*, payload: bytes = b"", deadline_s: float = 20.0) -> InvokeFunction:
    return InvokeFunction(
        record_id=new_record_id(),
        kind="api",
        function_id="func_0123456789",
        revision=1,
        expires_at_ms=int((time.time() + deadline_s) * 1000),
        payload=payload,
    )


def a_run() -> RunExecution:
    return RunExecution(execution_id=new_record_id(), function_id="func_0123456789")


def a_deployment() -> DeployFunction:
    return DeployFunction(deployment_id=new_record_id(), function_id="func_0123456789")


def a_notice() -> FunctionChanged:
    return FunctionChanged(function_id=new_record_id(), environment_id="env", name="f", revision=2)


def a_record(text: str = "hello") -> LogLinesWritten:
    line = LogLine(timestamp_ms=1, level="info", message=text, text=text)
    return LogLinesWritten(record_id=new_record_id(), first_number=1, lines=(line,))


async def echo(command: InvokeFunction) -> InvocationReply:
    return InvocationReply(record_id=command.record_id, payload=command.payload)
