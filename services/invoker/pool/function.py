"""What the engine is told of a function and of one call, and what it tells the worker of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from services.invoker.host_services.services import HostServices
from services.invoker.pool.settings import EngineSettings
from services.invoker.sandbox import calls
from shared.domain.runtime import RUNTIMES, Family

# What a runtime reads only when it starts: a function that sets one of these cannot use a stem cell.
_EARLY_PREFIXES = ("NODE_", "LD_", "LC_", "MALLOC_", "PYTHON")
_EARLY_NAMES = frozenset(("LANG", "LANGUAGE", "TZ", "GLIBC_TUNABLES", "UV_THREADPOOL_SIZE"))
_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCode:
    """
    All the engine needs to know of one function version.

    Workers are keyed by ``version_id``, unique per immutable version and configuration. ``convention`` is
    ``lambda`` or ``neo``; ``handler`` is empty for ``neo``. ``package_sha256`` is the fetcher's business only.
    """

    version_id: str
    function_id: str
    name: str
    runtime: str
    convention: str
    handler: str
    memory_mb: int
    timeout_s: float
    tmp_mb: int = 512
    environment: Mapping[str, str] = field(default_factory=dict)
    max_workers: int | None = None
    package_sha256: str = ""

    @property
    def family(self) -> str:
        """What runs it, a ``Family``; the runtime's own name when it is unknown."""
        known = RUNTIMES.get(self.runtime)
        return self.runtime if known is None else known.family

    @property
    def brings_program(self) -> bool:
        """Tell whether the package holds the program that runs: such a worker is the function's from its start."""
        return self.family == Family.PROVIDED

    def early_environment(self) -> dict[str, str]:
        """Return the variables that must be there when the runtime starts."""
        return {
            name: value
            for name, value in self.environment.items()
            if name in _EARLY_NAMES or name.startswith(_EARLY_PREFIXES)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """
    One call: ``event`` is JSON text that nobody parses on the way.

    ``deadline_s`` is how long the caller will wait from now on, at most; with ``wait_s`` it counts from the start of
    the run, and a worker is waited for so long at most. ``context`` holds small extra fields
    (Neo: ``execution_id``, ``started_at``; Lambda: ``invoked_function_arn``), ``secrets`` what a Neo function
    was granted. Without ``services`` the run may not call its host. ``on_start`` is called just before a worker gets
    the event.
    """

    request_id: str
    event: bytes
    deadline_s: float
    wait_s: float | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    services: HostServices | None = None
    on_start: Callable[[], None] | None = None

    def extra(self) -> dict[str, Mapping[str, str]]:
        """Return what goes into the frame's header beside the usual; nearly always nothing."""
        extra: dict[str, Mapping[str, str]] = {}
        if self.context:
            extra["c"] = self.context
        if self.secrets:
            extra["s"] = self.secrets
        return extra


def base_environment(temporary: str) -> dict[str, str]:
    """Return the variables every sandbox starts with."""
    return {"PATH": _PATH, "LANG": "C.UTF-8", "TZ": ":UTC", "HOME": temporary, "TMPDIR": temporary}


def load_request(code: FunctionCode, settings: EngineSettings, root: str, request_id: str) -> dict[str, Any]:
    """Return what a worker is told of its function, with its environment as on Lambda."""
    group = f"/aws/lambda/{code.name}"
    stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid4().hex}"
    return {
        "convention": code.convention,
        "handler": code.handler,
        "root": root,
        "name": code.name,
        "function_id": code.function_id,
        "function_arn": f"arn:aws:lambda:{settings.region}:000000000000:function:{code.name}",
        "memory_mb": code.memory_mb,
        "log_group": group,
        "log_stream": stream,
        "first_id": request_id,
        "result_limit": settings.result_limit_bytes,
        "host_calls": calls.limits(),
        "author_environment": dict(code.environment),
        "environment": {
            **code.environment,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{code.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": code.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(code.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "LAMBDA_TASK_ROOT": root,
            "LAMBDA_RUNTIME_DIR": "/runtime",
            "_HANDLER": code.handler,
        },
    }
