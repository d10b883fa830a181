import pytest

from shared.domain.outcome import Failure
from shared.domain.run_error import run_error


@pytest.mark.parametrize(
    ("failure", "name", "message"),
    [
        (Failure(kind="raised", name="TypeError", message="boom"), "TypeError", "boom"),
        (Failure(kind="raised", name="string", message="thrown text"), "Error", "thrown text"),
        (Failure(kind="raised", name="Runtime.HandlerNotFound", message="exports 5"), "TypeError", "exports 5"),
        (
            Failure(kind="timed_out", name="Sandbox.Timedout", limit=1.0),
            "TimeoutError",
            "Function timed out after 1 seconds",
        ),
        (
            Failure(kind="out_of_memory", limit=128.0),
            "MemoryLimitError",
            "Function exceeded its memory limit of 128 MB",
        ),
        (Failure(kind="crashed", message="exit status 0"), "RuntimeExitError", "exit status 0"),
        (
            Failure(kind="oversized", limit=1048576.0),
            "ResultTooLargeError",
            "Result is larger than 1048576 bytes of JSON",
        ),
        (Failure(kind="interrupted", message="its invoker went away"), "InterruptedError", "its invoker went away"),
        (Failure(kind="refused", name="function.not_found", message="gone"), "NotRunError", "gone"),
        (Failure(kind="raised", name="Error", message="x", limit=3.0), "Error", "x"),
    ],
)
def test_a_failed_run_is_named(failure: Failure, name: str, message: str) -> None:
    assert run_error(failure) == {"name": name, "message": message, "stack": ""}
