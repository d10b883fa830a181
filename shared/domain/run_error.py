"""
How a failed run is told in the Neo dialect: a name, a message, a stack (contracts/neo.md section 3.6).

One place for the answer, the record and the signed receipt of a run. A receipt holds a hash of exactly this, so a
word that is changed here makes the receipts of older failures differ from what their records show.
"""

from collections.abc import Mapping

from shared.domain.outcome import Failure

_BY_KIND: Mapping[str, str] = {
    "timed_out": "TimeoutError",
    "out_of_memory": "MemoryLimitError",
    "crashed": "RuntimeExitError",
    "oversized": "ResultTooLargeError",
    "interrupted": "InterruptedError",
    "refused": "NotRunError",
}
_RAISED: Mapping[str, str] = {
    "Runtime.HandlerNotFound": "TypeError",
    "Runtime.MarshalError": "TypeError",
    "Runtime.UserCodeSyntaxError": "SyntaxError",
    # Lambda names a thrown value that is no Error by its type; here it is an Error.
    **dict.fromkeys(("string", "number", "bigint", "boolean", "symbol", "undefined", "object", "function"), "Error"),
}

RunError = dict[str, str]
"""``name``, ``message`` and ``stack``."""


def run_error(failure: Failure) -> RunError:
    """Return what is told of a failure."""
    return {
        "name": _BY_KIND.get(failure.kind) or _RAISED.get(failure.name, failure.name),
        "message": _message(failure),
        "stack": failure.stack,
    }


def cancelled() -> RunError:
    """Return what is told of a run that was called off before it began."""
    return {"name": "CancelledError", "message": "The execution was cancelled", "stack": ""}


def _message(failure: Failure) -> str:
    limit = failure.limit
    match failure.kind:
        case "timed_out" if limit is not None:
            return f"Function timed out after {limit:g} seconds"
        case "out_of_memory" if limit is not None:
            return f"Function exceeded its memory limit of {limit:g} MB"
        case "oversized" if limit is not None:
            return f"Result is larger than {limit:.0f} bytes of JSON"
        case _:
            return failure.message
