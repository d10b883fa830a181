"""
What runs first in every Python sandbox: speaks frames with the supervisor on descriptor 3.

::

    hello ──▶            the runtime is up, no function yet
          ◀── load       a function's settings; its files are at ``root`` now
   loaded ──▶            (or ``raised``: it cannot be loaded)
          ◀── run        one event
     done ──▶            (or ``raised``, or ``large``)

A frame is one JSON header line and ``n`` raw bytes. Standard output and error are the log; nothing of this
protocol ever goes there. The convention is AWS Lambda's: ``module.function(event, context)``, its context
object, its ``Runtime.*`` error names, its ``logging`` format. It imports nothing of ours and runs under
``python -I -S``.
"""

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_MAX_TEXT = 128 * 1024
_FRAME = "\0L"

_socket = socket.socket(fileno=3)
_read = _socket.makefile("rb", buffering=1 << 16)


class LambdaRuntimeError(Exception):
    """An error of the runtime's own, under one of Lambda's names."""

    def __init__(self, name: str, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.stack = stack


class Identity:
    """Who called, for mobile apps on AWS; always empty here."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """The handler's second argument, as on Lambda."""

    def __init__(self, settings: dict[str, Any], header: dict[str, Any]) -> None:
        told = header.get("c") or {}
        self.aws_request_id: str = header["id"]
        self.function_name: str = settings["name"]
        self.function_version = "$LATEST"
        self.invoked_function_arn: str = told.get("invoked_function_arn") or settings["function_arn"]
        self.memory_limit_in_mb = str(settings["memory_mb"])
        self.log_group_name: str = settings["log_group"]
        self.log_stream_name: str = settings["log_stream"]
        self.identity = Identity()
        self.client_context = None
        self._ends = time.monotonic() + header["ms"] / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the handler may still run."""
        return max(0, int((self._ends - time.monotonic()) * 1000))

    def log(self, message: object) -> None:
        """Write to the log, as it is."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        return f"LambdaContext([aws_request_id={self.aws_request_id},function_name={self.function_name}])"


class LambdaLogHandler(logging.Handler):
    """Writes records of ``logging`` in Lambda's form; a record with newlines stays one record."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = f"[{record.levelname}]\t{moment}.{int(record.msecs):03d}Z\t{self.request_id}\t{text}"
        sys.stdout.write(_FRAME + line.replace("\0", "\ufffd").replace("\n", "\0") + "\n")


def send(header: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame; the log is flushed first, so that it is complete when the frame arrives."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # the author closed or replaced it
            continue
    header["n"] = len(body)
    _socket.sendall(json.dumps(header).encode() + b"\n" + body)


def receive() -> tuple[dict[str, Any], bytes]:
    """Read one frame; end the process when the supervisor is gone."""
    line = _read.readline()
    if not line:
        os._exit(0)
    header = json.loads(line)
    return header, _read.read(header["n"])


def failure(error: BaseException) -> bytes:
    """Return what is told of an error: its class, its text and the frames of the author's code."""
    if isinstance(error, LambdaRuntimeError):
        name, message, stack = error.name, str(error), error.stack
    else:
        name, message = type(error).__name__, _text_of(error)
        lines = traceback.format_exception(type(error), error, _authors(error))
        stack = "".join(lines)
    told = {"name": name[:1024], "message": message[:_MAX_TEXT], "stack": stack[:_MAX_TEXT]}
    return json.dumps(told).encode()


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "the error cannot be shown"


def _authors(error: BaseException) -> Any:
    """Return the traceback from the first frame that is not ours nor of the import machinery."""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file != __file__ and not file.startswith("<frozen importlib") and "/importlib/" not in file:
            return trace
        trace = trace.tb_next
    return error.__traceback__


def find_handler(settings: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """Import the author's module and return the function in it."""
    whole: str = settings["handler"]
    module_name, dot, function_name = whole.rpartition(".")
    if not dot or not module_name or not function_name:
        raise LambdaRuntimeError(
            "Runtime.MalformedHandlerName", f"Bad handler '{whole}': not enough values to unpack (expected 2, got 1)"
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        stack = "".join(traceback.format_exception(type(error), error, _authors(error)))
        raise LambdaRuntimeError(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}", stack
        ) from error
    except SyntaxError as error:
        where = f'  File "{error.filename}" Line {error.lineno}\n    {(error.text or "").strip()}\n'
        raise LambdaRuntimeError(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", where
        ) from error
    handler = getattr(module, function_name, None)
    if handler is None:
        raise LambdaRuntimeError(
            "Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'"
        )
    if not callable(handler):
        raise LambdaRuntimeError("Runtime.HandlerNotFound", f"Handler '{function_name}' is not callable")
    found: Callable[[Any, Any], Any] = handler
    return found


def prepare(settings: dict[str, Any]) -> LambdaLogHandler:
    """Set the environment, the module path and the log as the function expects them."""
    os.environ.update(settings["environment"])
    if "TZ" in settings["environment"]:
        time.tzset()
    root: str = settings["root"]
    os.chdir(root)
    added = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path]
    sys.path[:0] = [root, *added]
    importlib.invalidate_caches()
    handler = LambdaLogHandler()
    handler.request_id = settings["first_id"]
    logging.getLogger().addHandler(handler)
    return handler


def serve(handler: Callable[[Any, Any], Any], settings: dict[str, Any], log: LambdaLogHandler) -> None:
    """Run events until the supervisor is gone."""
    limit: int = settings["result_limit"]
    while True:
        header, body = receive()
        began = time.perf_counter()
        request_id = log.request_id = header["id"]
        try:
            result = handler(json.loads(body), Context(settings, header))
            answer = marshal(result)
        except Exception as error:
            spent = (time.perf_counter() - began) * 1000
            send({"t": "raised", "id": request_id, "ms": spent}, failure(error))
            continue
        spent = (time.perf_counter() - began) * 1000
        if len(answer) > limit:
            send({"t": "large", "id": request_id, "ms": spent, "size": len(answer)})
        else:
            send({"t": "done", "id": request_id, "ms": spent}, answer)


def marshal(result: Any) -> bytes:
    """Return a result as JSON text."""
    try:
        try:
            return json.dumps(result, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8, but JSON can escape it
            return json.dumps(result, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LambdaRuntimeError("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def main() -> None:
    """Say hello, wait for a function, run it."""
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - for good
    send({"t": "hello", "pid": os.getpid()})
    _, body = receive()
    began = time.perf_counter()
    settings = json.loads(body)
    log = prepare(settings)
    try:
        handler = find_handler(settings)
    except Exception as error:
        send({"t": "raised", "id": "", "ms": (time.perf_counter() - began) * 1000, "end": 1}, failure(error))
        sys.exit(1)
    send({"t": "loaded", "ms": (time.perf_counter() - began) * 1000})
    serve(handler, settings, log)


if __name__ == "__main__":
    main()
