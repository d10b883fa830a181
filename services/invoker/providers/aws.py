"""
Running a function on AWS Lambda: one call that waits for the answer and the end of the log.

A run is never begun twice: nothing is repeated here, and what went wrong before Lambda had the event is told apart
from what went wrong after. Each run holds a thread; more than there are wait, until their deadline.
"""

import asyncio
import base64
import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from services.invoker.providers.lambda_answer import report_of
from shared.cloud.aws import errors
from shared.cloud.aws.sessions import AwsSessions
from shared.cloud.connections import Connections
from shared.domain.errors import PayloadTooLargeError, ThrottledError, UnavailableError
from shared.domain.function import Function
from shared.domain.outcome import Interrupted, Report, TimedOut, Timings
from shared.domain.placement import Placement

MAX_EVENT_BYTES = 6_291_556
"""What Lambda takes as the event of a call that waits: 6 MB and a little."""

_MARGIN_S = 30.0
"""Our own deadline comes first; this is for what goes on in a thread after it."""


class _AnswerLostError(Exception):
    """Lambda had the event, and the connection ended without an answer."""


@dataclass(slots=True)
class _Run:
    """One run, as its thread and its waiter see it."""

    name: str
    event: bytes
    begun: bool = False

    def __call__(self, aws: Any) -> tuple[bytes, str | None, str]:
        self.begun = True
        try:
            answer = aws.invoke(
                FunctionName=self.name, InvocationType="RequestResponse", LogType="Tail", Payload=self.event
            )
            payload: bytes = answer["Payload"].read()
        except (ReadTimeoutError, ConnectionClosedError) as error:
            raise _AnswerLostError(str(error)) from error
        except ClientError as error:
            self.begun = not errors.is_expired(error)
            raise
        tail = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
        return payload, answer.get("FunctionError"), tail


class AwsRunner:
    """Runs functions on AWS Lambda. ``sessions`` has a thread for each run at once, and repeats nothing."""

    def __init__(self, sessions: AwsSessions, connections: Connections) -> None:
        self._sessions = sessions
        self._connections = connections

    async def run(self, function: Function, placement: Placement, event: bytes, *, limit_s: float) -> Report:
        """
        Run a function once; ``limit_s`` bounds how long its answer is waited for.

        Raises:
            PayloadTooLargeError: the event is larger than Lambda takes.
            ThrottledError: the account has too many runs at once; nothing was begun.
            UnavailableError: AWS is out of reach or still makes the function, or no thread became free; nothing was
                begun.
            PlatformError: AWS refuses: the function is gone, our role may not call it, ...
        """
        if len(event) > MAX_EVENT_BYTES:
            raise PayloadTooLargeError(
                f"AWS Lambda takes events of at most {MAX_EVENT_BYTES} bytes (6 MB); this one has {len(event)}",
                limit=MAX_EVENT_BYTES,
            )
        connection = await self._connections.aws(placement.connection_id)
        run = _Run(placement.name, event)
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                payload, failed, tail = await self._sessions.call(
                    connection, placement.region, run, what="call the function", deadline_s=limit_s + _MARGIN_S
                )
        except TimeoutError as error:
            if not run.begun:
                raise UnavailableError("too many functions are being called at AWS at once") from error
            return Report(outcome=TimedOut(limit_s=round(limit_s, 3)), timings=_waited(began))
        except _AnswerLostError:
            return Report(
                outcome=Interrupted(reason="AWS gave no answer to a run it had begun"), timings=_waited(began)
            )
        except UnavailableError as error:
            match error.fields.get("issue"):
                case errors.THROTTLED_ISSUE:
                    raise ThrottledError("AWS Lambda has too many calls of this account at once") from error
                case errors.UNSURE_ISSUE if run.begun:
                    return Report(outcome=Interrupted(reason=error.message), timings=_waited(began))
                case _:
                    raise
        return report_of(
            payload,
            failed,
            tail,
            function.version.spec,
            now_ms=time.time_ns() // 1_000_000,
            waited_ms=(time.monotonic() - began) * 1000,
        )


def _waited(began: float) -> Timings:
    return Timings(handler_ms=(time.monotonic() - began) * 1000)
