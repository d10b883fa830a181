"""
An invoker whose functions are Python callables of the test, and a logger: the api's two neighbours, scripted.

A handler gets the request event and returns what a function would; the real rules judge it, and the record goes
the way real records go. What handlers raise as ``Fails`` is what the engine reports of code that fails.
"""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.invoker.api_response import ApiResponse, read_api_response
from shared.bus.bus import Bus
from shared.database import api_requests, logs
from shared.database.pool import Database
from shared.domain.errors import PlatformError
from shared.domain.outcome import Failure, LogLine, Outcome, failure_of
from shared.messages.messages import (
    ApiAnswer,
    ApiRequestFinished,
    InvocationReply,
    InvokeFunction,
    LogLinesWritten,
    Record,
)

Handler = Callable[[dict[str, Any]], Any]


class FailsError(Exception):
    """What the engine reports instead of a result."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


class RefusesError(Exception):
    """The invoker cannot run it."""

    def __init__(self, error: PlatformError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class Script:
    """The invoker. ``handler`` answers every call until it is replaced; ``events`` are those of all calls."""

    environment_id: str
    bus: Bus
    handler: Handler = lambda _event: {"statusCode": 200, "body": "ok"}
    lines: tuple[LogLine, ...] = ()
    commands: list[InvokeFunction] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(command.payload) for command in self.commands]

    async def answer(self, command: InvokeFunction) -> InvocationReply:
        self.commands.append(command)
        began_ms = int(time.time() * 1000)
        answer, body, failure = None, b"", None
        try:
            result = self.handler(json.loads(command.payload))
            if isinstance(result, Awaitable):
                result = await result
            returned = result if isinstance(result, bytes) else json.dumps(result).encode()
            if command.api_call is None:
                return self._direct(command, returned, None)
            judged = read_api_response(returned)
            if isinstance(judged, ApiResponse):
                answer, body = ApiAnswer(status=judged.status, headers=judged.headers), judged.body
            else:
                failure = Failure(kind="invalid_response", name=judged.name, message=judged.message)
        except FailsError as fails:
            failure = failure_of(fails.outcome)
            if command.api_call is None:
                return self._direct(command, b"", failure)
        except RefusesError as refuses:
            return InvocationReply(record_id=command.record_id, error=refuses.error.record())
        self._record(command, answer.status if answer else 400, failure, began_ms)
        return InvocationReply(record_id=command.record_id, answer=answer, failure=failure, payload=body)

    def _direct(self, command: InvokeFunction, result: bytes, failure: Failure | None) -> InvocationReply:
        self.bus.record(LogLinesWritten(record_id=command.record_id, first_number=0, lines=self.lines))
        return InvocationReply(
            record_id=command.record_id, failure=failure, payload=result, duration_ms=12.5, log_lines=len(self.lines)
        )

    def _record(self, command: InvokeFunction, status: int, failure: Failure | None, began_ms: int) -> None:
        assert command.api_call is not None
        self.bus.record(
            ApiRequestFinished(
                request_id=command.record_id,
                function_id=command.function_id,
                environment_id=self.environment_id,
                function_name=self.names[command.function_id],
                call=command.api_call,
                status_code=status,
                failure=failure,
                started_at_ms=began_ms,
                duration_ms=12.5,
                lines=self.lines,
            )
        )


async def write_down(db: Database, records: Sequence[Record]) -> None:
    """Persist API requests, and the lines of them and of tasks, as the logger does."""
    calls = [record for record in records if isinstance(record, ApiRequestFinished)]
    await api_requests.insert_finished(db, calls)
    lines = [(call.request_id, number, line) for call in calls for number, line in enumerate(call.lines)]
    written = [record for record in records if isinstance(record, LogLinesWritten)]
    lines += [(record.record_id, number, line) for record in written for number, line in enumerate(record.lines)]
    await logs.insert_lines(db, lines)
