"""What AWS Lambda answers, as a report of a run: outcomes by its names, lines without its own, times by its account."""

import json
from typing import Any

import pytest

from services.invoker.providers.lambda_answer import report_of
from shared.domain.function import Convention, VersionSpec
from shared.domain.outcome import Crashed, Outcome, OutOfMemory, Oversized, Raised, Report, Returned, TimedOut, Timings

SPEC = VersionSpec(runtime="python3.12", convention=Convention.LAMBDA, handler="a.b", timeout_s=3, memory_mb=128)
ID = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"
ACCOUNT = (
    f"REPORT RequestId: {ID}\tDuration: 3.12 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 39 MB"
)
NOW = 1_700_000_000_000


def report(payload: Any = None, error: str | None = None, tail: str = "") -> Report:
    return report_of(json.dumps(payload).encode(), error, tail, SPEC, now_ms=NOW)


def failure(name: str | None, message: str, tail: str = "", **more: Any) -> Outcome:
    said = {"errorMessage": message, **({"errorType": name} if name else {}), **more}
    return report(said, "Unhandled", tail).outcome


def test_what_a_handler_returns_is_kept_as_it_was_written() -> None:
    assert report_of(b'{"a" : 1}', None, "", SPEC, now_ms=NOW).outcome == Returned(result=b'{"a" : 1}')
    assert report_of(b"", None, "", SPEC, now_ms=NOW).outcome == Returned(result=b"null")


def test_an_error_of_node_and_one_of_python_keep_name_message_and_stack() -> None:
    assert failure(
        "TypeError", "x is not a function", trace=["TypeError: x is not", "    at b (/var/task/a.js:1)"]
    ) == (
        Raised(
            name="TypeError", message="x is not a function", stack="TypeError: x is not\n    at b (/var/task/a.js:1)"
        )
    )
    assert failure("KeyError", "'a'", stackTrace=['  File "/var/task/a.py", line 2, in b\n    event["a"]\n']) == (
        Raised(name="KeyError", message="'a'", stack='  File "/var/task/a.py", line 2, in b\n    event["a"]')
    )
    assert failure("Runtime.HandlerNotFound", "a.b is undefined") == (
        Raised(name="Runtime.HandlerNotFound", message="a.b is undefined")
    )


@pytest.mark.parametrize("name", [None, "Sandbox.Timedout"])
def test_a_time_out_is_known_by_its_text_as_lambda_has_changed_its_name(name: str | None) -> None:
    assert failure(name, f"2024-05-01T10:00:00.131Z {ID} Task timed out after 3.00 seconds") == TimedOut(limit_s=3.0)


def test_a_function_that_speaks_of_a_time_out_itself_has_raised() -> None:
    assert isinstance(failure("MyError", "Task timed out after 3.00 seconds"), Raised)


def test_memory_that_ran_out_is_known_by_name_or_by_a_kill_at_the_limit() -> None:
    killed = f"RequestId: {ID} Error: Runtime exited with error: signal: killed"

    assert failure("Runtime.OutOfMemory", killed) == OutOfMemory(limit_mb=128)
    assert failure("Runtime.ExitError", killed, ACCOUNT.replace("Used: 39", "Used: 128")) == OutOfMemory(limit_mb=128)
    assert failure("Runtime.ExitError", killed, ACCOUNT) == Crashed(signal=9)


def test_a_process_that_ended_is_told_with_how() -> None:
    assert failure("Runtime.ExitError", "Runtime exited with error: exit status 3") == Crashed(exit_code=3)
    assert failure("Runtime.ExitError", "Runtime exited with error: signal: segmentation fault") == Crashed(signal=11)
    assert failure("Runtime.ExitError", "Runtime exited without providing a reason") == Crashed()


def test_a_result_that_is_too_large_is_told_with_the_limit() -> None:
    message = "Response payload size (6291600 bytes) exceeded maximum allowed payload size (6291556 bytes)."

    assert failure("Function.ResponseSizeTooLarge", message) == Oversized(size_bytes=6291600, limit_bytes=6291456)


@pytest.mark.parametrize("payload", [b"not json", b"[1]", b""])
def test_an_error_that_is_not_told_as_lambda_tells_errors_is_one_all_the_same(payload: bytes) -> None:
    assert isinstance(report_of(payload, "Unhandled", "", SPEC, now_ms=NOW).outcome, Raised)


def test_times_are_those_of_the_account_and_a_start_is_cold_when_it_names_one() -> None:
    assert report(tail=ACCOUNT).timings == Timings(handler_ms=3.12)
    assert report(tail=f"{ACCOUNT}\tInit Duration: 80.25 ms\t").timings == (
        Timings(handler_ms=3.12, init_ms=80.25, cold_start=True)
    )
    told = report_of(b"", None, "", SPEC, now_ms=NOW, waited_ms=7.5)
    assert told.timings == Timings(handler_ms=7.5)


def test_lines_are_the_authors_with_level_and_time_and_lambdas_own_are_left_out() -> None:
    at = "2024-05-01T10:00:00.131Z"
    request = "8f507cfc-0000-4697-b07a-ac58fc914c95"
    tail = "\n".join(
        [
            f"START RequestId: {request} Version: $LATEST",
            f"{at}\t{request}\tERROR\tfrom node",
            f"[WARNING]\t{at}\t{request}\tfrom python",
            "bare",
            f"END RequestId: {request}",
            ACCOUNT,
            "",
        ]
    )

    told = report(tail=tail)

    assert [(each.level, each.text) for each in told.logs] == [
        ("error", "from node"),
        ("warn", "from python"),
        ("info", "bare"),
    ]
    # The bare one was written when the one before it was.
    assert [each.timestamp_ms for each in told.logs] == [1_714_557_600_131] * 3
    assert told.dropped_log_lines == 0


def test_a_line_that_does_not_say_when_was_written_when_the_run_began() -> None:
    told = report(tail=f"bare\n{ACCOUNT}\tInit Duration: 80.25 ms\t\n")

    assert [each.timestamp_ms for each in told.logs] == [NOW - 83]


def test_an_error_that_nobody_caught_is_one_and_what_lambda_says_of_the_end_is_left_out() -> None:
    tail = "\n".join(
        [
            "[ERROR] KeyError: 'a'",
            "Traceback (most recent call last):",
            f"2024-05-01T10:00:00.131Z {ID.replace('xmpl', '0000')} Task timed out after 3.00 seconds",
            f"RequestId: {ID.replace('xmpl', '0000')} Error: Runtime exited with error: exit status 1",
        ]
    )

    assert [(each.level, each.text) for each in report(tail=tail).logs] == [
        ("error", "[ERROR] KeyError: 'a'"),
        ("info", "Traceback (most recent call last):"),
    ]


def test_a_log_in_json_is_read_as_well() -> None:
    metrics = {"durationMs": 3.5, "initDurationMs": 80.0, "memorySizeMB": 128, "maxMemoryUsedMB": 128}
    said = [
        {"time": "2024-05-01T10:00:00.100Z", "type": "platform.start", "record": {"requestId": ID}},
        {"timestamp": "2024-05-01T10:00:00.131Z", "level": "WARN", "requestId": ID, "message": "from node"},
        {"timestamp": "2024-05-01T10:00:01Z", "level": "ERROR", "requestId": ID, "message": {"n": 1}},
        {"mine": 1},
        {"time": "2024-05-01T10:00:02.000Z", "type": "platform.report", "record": {"metrics": metrics}},
    ]
    tail = "\n".join(json.dumps(each) for each in said)

    told = report(tail=tail)

    assert told.timings == Timings(handler_ms=3.5, init_ms=80.0, cold_start=True)
    assert [(each.level, each.text, each.timestamp_ms) for each in told.logs] == [
        ("warn", "from node", 1_714_557_600_131),
        ("error", '{"n":1}', 1_714_557_601_000),
        ("info", '{"mine": 1}', 1_714_557_601_000),
    ]
    killed = f"RequestId: {ID} Error: Runtime exited with error: signal: killed"
    assert failure("Runtime.ExitError", killed, tail) == OutOfMemory(limit_mb=128)


def test_a_start_from_a_snapshot_is_cold_too() -> None:
    restored = f"{ACCOUNT}\tRestore Duration: 340.00 ms\tBilled Restore Duration: 5 ms\t"

    assert report(tail=restored).timings == Timings(handler_ms=3.12, init_ms=340.0, cold_start=True)


def test_a_tail_that_was_cut_has_lost_a_line_at_least() -> None:
    assert report(tail="x" * 4096).dropped_log_lines == 1
