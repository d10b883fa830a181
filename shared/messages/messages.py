"""
The messages, each defined once.

A message is a frozen dataclass with a wire ``TYPE`` and an integer ``VERSION``. Its fields are plain values,
tuples and nested dataclasses that ``codec`` lists; one field, ``payload``, may hold raw bytes (an event, a
result, a body) that no service between the two ends ever parses. Within a version only optional fields with
defaults are added, and readers ignore fields they do not know; anything else is a new version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from shared.domain.errors import ErrorRecord
from shared.domain.outcome import Failure, LogLine, Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """The HTTP side of a call of an API function, kept for its record."""

    method: str
    path: str
    user_id: str | None = None
    application_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeFunction:
    """
    Run a function now and answer. Carried by ``invoker.sync.v1``, at most once.

    ``record_id`` names the execution or API request the run is recorded as; ``kind`` is an
    ``ExecutionKind`` or ``api``. ``expires_at_ms`` (Unix time) is the caller's deadline. ``payload`` is the
    handler's event, for kind ``neo`` the JSON text of ``params``. With ``log_tail_bytes`` the reply carries so much of
    the end of the run's log. ``recorded`` is JSON text for the execution's record in place of what went in and what
    came out, which are then strangers' and kept nowhere.
    """

    TYPE: ClassVar[str] = "function.invoke"
    VERSION: ClassVar[int] = 1

    record_id: str
    kind: str
    function_id: str
    revision: int
    expires_at_ms: int
    api_call: ApiCall | None = None
    payload: bytes = b""
    log_tail_bytes: int = 0
    recorded: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """The validated HTTP answer of an API function; its body is the reply's payload."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationReply:
    """
    The answer to ``InvokeFunction``: exactly one of ``error``, ``failure`` or success.

    ``payload`` is the result's JSON text, or the body when ``answer`` is given. ``duration_ms`` runs from
    the start of user code to its end. ``log_lines`` counts the lines of the run that are kept, for who keeps its
    record.
    """

    TYPE: ClassVar[str] = "function.invoked"
    VERSION: ClassVar[int] = 1

    record_id: str
    error: ErrorRecord | None = None
    failure: Failure | None = None
    answer: ApiAnswer | None = None
    defined: bool = True
    started_at_ms: int = 0
    finished_at_ms: int = 0
    duration_ms: float = 0.0
    cold_start: bool = False
    payload: bytes = b""
    log_lines: int = 0
    dropped_log_lines: int = 0
    log_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExecution:
    """
    Run an accepted execution; everything else is in its row. Carried by ``invoker.async.v1``.

    ``revision`` is the function's that the sender knew: the invoker must know that one or a later one.
    """

    TYPE: ClassVar[str] = "execution.run"
    VERSION: ClassVar[int] = 1

    execution_id: str
    function_id: str
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployFunction:
    """Bring a function to the state its deployment row asks for. Carried by ``deployer.v1``."""

    TYPE: ClassVar[str] = "function.deploy"
    VERSION: ClassVar[int] = 1

    deployment_id: str
    function_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionChanged:
    """
    A function has a new revision, or is gone. Caches drop what they hold of it.

    ``version_changed`` is false when what runs is the same and only something beside it changed, e.g. a secret.
    """

    TYPE: ClassVar[str] = "function.changed"
    VERSION: ClassVar[int] = 1

    function_id: str
    environment_id: str
    name: str
    revision: int
    deleted: bool = False
    version_changed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFinished:
    """A deployment succeeded, or was refused for the reason in ``error``."""

    TYPE: ClassVar[str] = "deployment.finished"
    VERSION: ClassVar[int] = 1

    deployment_id: str
    function_id: str
    error: ErrorRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRevoked:
    """A key or token no longer counts. Caches drop the credential with this SHA-256 (hex)."""

    TYPE: ClassVar[str] = "credential.revoked"
    VERSION: ClassVar[int] = 1

    credential_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionsChanged:
    """
    What users may do has changed, or they are gone. Caches drop the identities they hold of them.

    Without ``user_ids`` it is about every user of the account.
    """

    TYPE: ClassVar[str] = "permissions.changed"
    VERSION: ClassVar[int] = 1

    account_id: str
    user_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksWaiting:
    """Tasks or schedules were kept that are due, or will be very soon. Invokers look at once."""

    TYPE: ClassVar[str] = "tasks.waiting"
    VERSION: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFinished:
    """
    A synchronous run ended: its whole record, with its log lines.

    ``params`` and ``result`` are JSON texts; ``status`` is ``completed`` or ``failed``; ``receipt`` is the signed
    receipt as JSON text, None when it is to be made later or the run gets none.
    """

    TYPE: ClassVar[str] = "execution.finished"
    VERSION: ClassVar[int] = 1

    execution_id: str
    function_id: str
    environment_id: str
    version_id: str
    kind: str
    status: str
    params: str
    result: str | None
    result_defined: bool
    failure: Failure | None
    started_at_ms: int
    finished_at_ms: int
    duration_ms: float
    timings: Timings
    lines: tuple[LogLine, ...] = ()
    dropped_log_lines: int = 0
    receipt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequestFinished:
    """A call of an API function ended, or was refused: its record, with its log lines."""

    TYPE: ClassVar[str] = "api-request.finished"
    VERSION: ClassVar[int] = 1

    request_id: str
    function_id: str
    environment_id: str
    function_name: str
    call: ApiCall
    status_code: int
    failure: Failure | None
    started_at_ms: int
    duration_ms: float
    timings: Timings = field(default_factory=Timings)
    lines: tuple[LogLine, ...] = ()
    dropped_log_lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLinesWritten:
    """Log lines of a run whose row is settled by whoever holds its lease: an accepted execution, a task."""

    TYPE: ClassVar[str] = "log.written"
    VERSION: ClassVar[int] = 1

    record_id: str
    first_number: int
    lines: tuple[LogLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsAsked:
    """A run was given the secrets its function lists: those ``granted``, and not those ``denied`` or missing."""

    TYPE: ClassVar[str] = "secrets.asked"
    VERSION: ClassVar[int] = 1

    record_id: str
    account_id: str
    function_id: str
    at_ms: int
    granted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


Command = InvokeFunction | RunExecution | DeployFunction
Work = RunExecution | DeployFunction
"""Commands that are kept until they are done."""
Notice = FunctionChanged | DeploymentFinished | CredentialRevoked | PermissionsChanged | TasksWaiting
"""Events every replica hears."""
Record = ExecutionFinished | ApiRequestFinished | LogLinesWritten | SecretsAsked
"""Events the logger persists."""
Message = Command | InvocationReply | Notice | Record

MESSAGES: tuple[type[Message], ...] = (
    InvokeFunction,
    InvocationReply,
    RunExecution,
    DeployFunction,
    FunctionChanged,
    DeploymentFinished,
    CredentialRevoked,
    PermissionsChanged,
    TasksWaiting,
    ExecutionFinished,
    ApiRequestFinished,
    LogLinesWritten,
    SecretsAsked,
)
