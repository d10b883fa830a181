"""
The platform's errors: requests we cannot honour, and our own failures.

``PlatformError``
├── ``InvalidRequestError``        request.invalid            a field or parameter is wrong; names it
│   ├── ``MalformedBodyError``     request.malformed_body     not JSON, not UTF-8, not an object
│   ├── ``EmptyBodyError``         request.empty_body
│   ├── ``MissingFieldError``      request.missing_field
│   ├── ``MalformedIdError``       request.malformed_id
│   └── ``InvalidQueryError``      request.invalid_query      RQL we cannot read
│       ├── ``EmptyQueryError``    request.empty_query        none where it must choose what is changed
│       └── ``SlowQueryError``     request.slow_query         it would take too long to answer
├── ``InvalidFunctionNameError``   function.invalid_name
├── ``InvalidPackageError``        package.invalid            not a zip, unsafe path, bomb, empty
├── ``InvalidCodeError``           code.invalid               source that does not compile; line and stack
├── ``EnvironmentTooLargeError``   function.environment_too_large
├── ``PayloadTooLargeError``       request.too_large
├── ``UnauthenticatedError``       access.unauthenticated
│   ├── ``UnknownTokenError``      access.unknown_token
│   ├── ``ExpiredTokenError``      access.expired_token
│   ├── ``WrongPasswordError``     access.wrong_password      or no such user: not told apart
│   ├── ``UnknownRefreshTokenError`` access.unknown_refresh_token
│   ├── ``ExpiredRefreshTokenError`` access.expired_refresh_token
│   ├── ``UnknownClientError``     access.unknown_client      no such OAuth application
│   ├── ``WrongClientSecretError`` access.wrong_client_secret
│   └── ``MissingClientError``     access.missing_client
├── ``ForbiddenError``             access.forbidden           names the permission that is missing
├── ``QuotaExceededError``         account.quota_exceeded
├── ``NotFoundError``              resource.not_found
│   ├── ``FunctionNotFoundError``  function.not_found
│   ├── ``ExecutionNotFoundError`` execution.not_found
│   └── ``RouteNotFoundError``     route.not_found
├── ``MethodNotAllowedError``      route.method_not_allowed
├── ``NameTakenError``             function.name_taken
├── ``IllegalStateError``          resource.illegal_state     e.g. a disabled function
├── ``TimeLimitTooLongError``      function.time_limit_too_long
├── ``NoLogsError``                logs.none
├── ``ThrottledError``             invocation.throttled
│   └── ``TooManyExecutionsError`` execution.throttled        too many direct executions
├── ``RateLimitedError``           access.rate_limited        too many requests of a caller
├── ``TooManyFailedLoginsError``   access.too_many_failed_logins
├── ``UnavailableError``           platform.unavailable       no invoker, queue full, shutting down
├── ``StartFailedError``           invocation.start_failed    the run could not be started
├── ``DeadlineExceededError``      invocation.deadline        no answer from an invoker in time
├── ``InterruptedExecutionError``  execution.interrupted      its invoker went away
└── ``InternalError``              internal.unexpected        a bug of ours, with an incident id
    └── ``BrokenSealError``        seal.broken                a sealed value was changed, or moved to another row

What is wrong with signed requests and authorization codes is in ``login_errors.py``, with users in ``user_errors.py``,
with clouds in ``cloud_errors.py``.

No HTTP status and no vendor word in here: each dialect owns its table. Every error crosses the bus as an
``ErrorRecord`` and is rebuilt by ``revive``; a code this process does not know degrades to its kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What sort of failure it is, for callers that do not know the code."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Fault(StrEnum):
    """Who is to blame: it decides alerts and retries. What a function did wrong is no error but a ``Failure``."""

    CALLER = "caller"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """A platform error as it crosses the bus and as it is stored."""

    code: str
    kind: str
    message: str
    fields: Mapping[str, str | int] = field(default_factory=dict)


_registry: dict[str, type["PlatformError"]] = {}


class PlatformError(Exception):
    """
    A request we cannot honour, or our own failure.

    ``fields`` are typed facts for the dialects to render: ``field``, ``issue``, ``required``, ``limit``, ...
    """

    code: ClassVar[str] = ""
    kind: ClassVar[Kind] = Kind.INTERNAL
    fault: ClassVar[Fault] = Fault.CALLER

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.code in _registry:
            raise TypeError(f"error code {cls.code!r} is taken by {_registry[cls.code].__name__}")
        _registry[cls.code] = cls

    def __init__(self, message: str, /, **fields: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def record(self) -> ErrorRecord:
        """Return the error as a value."""
        return ErrorRecord(code=self.code, kind=self.kind, message=self.message, fields=self.fields)


def revive(record: ErrorRecord) -> PlatformError:
    """Rebuild an error from its record; an unknown code becomes the first known error of its kind."""
    cls = _registry.get(record.code) or next(
        (known for known in _registry.values() if known.kind == record.kind), InternalError
    )
    error = cls.__new__(cls)
    PlatformError.__init__(error, record.message, **record.fields)
    return error


def every_error() -> Mapping[str, type[PlatformError]]:
    """Return all errors by code, for the tests that render each in each dialect."""
    return dict(_registry)


class InvalidRequestError(PlatformError):
    """A field or parameter is wrong. ``field`` names it, ``issue`` says how."""

    code, kind = "request.invalid", Kind.INVALID


class MalformedBodyError(InvalidRequestError):
    """The body is not what it must be: JSON, UTF-8, an object."""

    code = "request.malformed_body"


class EmptyBodyError(InvalidRequestError):
    """A body is required and there is none."""

    code = "request.empty_body"


class MissingFieldError(InvalidRequestError):
    """A required field is absent."""

    code = "request.missing_field"


class MalformedIdError(InvalidRequestError):
    """An id in a path has not the form of one."""

    code = "request.malformed_id"


class InvalidQueryError(InvalidRequestError):
    """A query (RQL) cannot be read or asks for what is not offered."""

    code = "request.invalid_query"


class EmptyQueryError(InvalidQueryError):
    """There is no query where it must say what is to be changed."""

    code = "request.empty_query"


class SlowQueryError(InvalidQueryError):
    """Answering the query would take longer than ``limit`` seconds."""

    code = "request.slow_query"


class InvalidFunctionNameError(PlatformError):
    """A function's name breaks the naming rule."""

    code, kind = "function.invalid_name", Kind.INVALID


class InvalidPackageError(PlatformError):
    """A deployment package is refused whole: not a zip, an unsafe path, a bomb, nothing in it."""

    code, kind = "package.invalid", Kind.INVALID


class InvalidCodeError(PlatformError):
    """Source code does not compile. ``name``, ``line`` and ``stack`` come from the compiler."""

    code, kind = "code.invalid", Kind.INVALID


class EnvironmentTooLargeError(PlatformError):
    """Environment variables are larger than the runtime takes."""

    code, kind = "function.environment_too_large", Kind.INVALID


class PayloadTooLargeError(PlatformError):
    """A body or an event is over its size limit (``limit`` bytes)."""

    code, kind = "request.too_large", Kind.TOO_LARGE


class UnauthenticatedError(PlatformError):
    """No credential, or one that is not valid."""

    code, kind = "access.unauthenticated", Kind.UNAUTHENTICATED


class UnknownTokenError(UnauthenticatedError):
    """An access token nobody issued, or a revoked one."""

    code = "access.unknown_token"


class ExpiredTokenError(UnauthenticatedError):
    """An access token past its time."""

    code = "access.expired_token"


class WrongPasswordError(UnauthenticatedError):
    """No user has that name and password; which of the two is wrong is not told."""

    code = "access.wrong_password"


class UnknownRefreshTokenError(UnauthenticatedError):
    """A refresh token nobody issued to this application, or one that was used before."""

    code = "access.unknown_refresh_token"


class ExpiredRefreshTokenError(UnauthenticatedError):
    """A refresh token past its time."""

    code = "access.expired_refresh_token"


class UnknownClientError(UnauthenticatedError):
    """No OAuth application has that client id."""

    code = "access.unknown_client"


class WrongClientSecretError(UnauthenticatedError):
    """A confidential application showed no secret, or not its own."""

    code = "access.wrong_client_secret"


class MissingClientError(UnauthenticatedError):
    """No OAuth application is named at all."""

    code = "access.missing_client"


class ForbiddenError(PlatformError):
    """The caller lacks a permission; ``required`` names it."""

    code, kind = "access.forbidden", Kind.FORBIDDEN


class QuotaExceededError(PlatformError):
    """The account may not have more of these; ``limit`` says how many."""

    code, kind = "account.quota_exceeded", Kind.FORBIDDEN


class NotFoundError(PlatformError):
    """No such thing, or it belongs to somebody else."""

    code, kind = "resource.not_found", Kind.NOT_FOUND


class FunctionNotFoundError(NotFoundError):
    """No such function in the caller's environment."""

    code = "function.not_found"


class ExecutionNotFoundError(NotFoundError):
    """No such execution of that function."""

    code = "execution.not_found"


class RouteNotFoundError(NotFoundError):
    """No route has that path."""

    code = "route.not_found"


class MethodNotAllowedError(PlatformError):
    """The path exists, with other methods."""

    code, kind = "route.method_not_allowed", Kind.INVALID


class NameTakenError(PlatformError):
    """Another function of the environment has that name."""

    code, kind = "function.name_taken", Kind.CONFLICT


class IllegalStateError(PlatformError):
    """The thing exists but its state forbids that now, e.g. calling a disabled function."""

    code, kind = "resource.illegal_state", Kind.CONFLICT


class TimeLimitTooLongError(PlatformError):
    """The function's time limit is longer than this way of calling allows (``limit`` seconds)."""

    code, kind = "function.time_limit_too_long", Kind.INVALID


class NoLogsError(PlatformError):
    """There are no log lines to show."""

    code, kind = "logs.none", Kind.NOT_FOUND


class ThrottledError(PlatformError):
    """Too many runs of this function at once (``limit``)."""

    code, kind = "invocation.throttled", Kind.THROTTLED


class TooManyExecutionsError(ThrottledError):
    """Too many direct executions at once (``limit``), of one function or of all."""

    code = "execution.throttled"


class RateLimitedError(PlatformError):
    """The caller sent more than ``limit`` requests a minute; may go on in ``reset_in_seconds``."""

    code, kind = "access.rate_limited", Kind.THROTTLED


class TooManyFailedLoginsError(PlatformError):
    """Too many wrong passwords for one user from one address; may go on in ``reset_in_seconds``."""

    code, kind = "access.too_many_failed_logins", Kind.THROTTLED


class UnavailableError(PlatformError):
    """The platform cannot take this now: no invoker, a full queue, shutting down."""

    code, kind, fault = "platform.unavailable", Kind.UNAVAILABLE, Fault.PLATFORM


class StartFailedError(PlatformError):
    """The run could not be started: the sandbox, the package or the event refused."""

    code, kind, fault = "invocation.start_failed", Kind.INTERNAL, Fault.PLATFORM


class DeadlineExceededError(PlatformError):
    """No invoker answered before the caller's deadline."""

    code, kind, fault = "invocation.deadline", Kind.TIMEOUT, Fault.PLATFORM


class InterruptedExecutionError(PlatformError):
    """The invoker that ran it went away before it settled."""

    code, kind, fault = "execution.interrupted", Kind.INTERNAL, Fault.PLATFORM


class InternalError(PlatformError):
    """A bug of ours. ``incident`` finds the log line; the text shows no internals."""

    code, kind, fault = "internal.unexpected", Kind.INTERNAL, Fault.PLATFORM


class BrokenSealError(InternalError):
    """A sealed value was changed, or moved to another row: it is not opened."""

    code = "seal.broken"
