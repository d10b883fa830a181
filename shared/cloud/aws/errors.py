"""
What AWS says went wrong, in the platform's errors: the one place that reads its error codes.

What the customer can mend keeps AWS's own text as ``details`` and gets a ``suggestion``; both go to the caller. What
is nobody's fault and passes (throttling, an outage, no network) becomes ``CloudUnavailableError``.
"""

import structlog
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

from shared.domain.cloud_errors import (
    CloudDeniedError,
    CloudFunctionGoneError,
    CloudRefusedError,
    CloudUnavailableError,
)
from shared.domain.errors import NameTakenError, PayloadTooLargeError, PlatformError

ROLE_ISSUE = "execution role"
"""``issue`` of the refusal of a role; AWS says that of a role made seconds ago too."""

THROTTLED_ISSUE = "throttled"
"""``issue`` of what AWS put off because the account asks too much."""

UNSURE_ISSUE = "unsure"
"""``issue`` of AWS's own faults: what was asked may have been done, or begun."""

BUSY_ISSUE = "busy"
"""``issue`` of what AWS does not take while it still makes or changes the function; nothing was done."""

_DENIED = ("AccessDenied", "Unauthorized", "AuthFailure", "OptInRequired")
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"})
_FLEETING = frozenset(
    {"EC2ThrottledException", "ENILimitReachedException", "ResourceNotReadyException", "ServiceUnavailable"}
)
"""Nothing was done, and another time it may be."""

_OURS = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})
_TOO_LARGE = frozenset({"RequestTooLargeException", "RequestEntityTooLargeException"})
_SERVER_FAULT = 500
_MAX_TEXT = 1000

_STACK = "update the CloudFormation stack of the connection to the newest infrastructure/customer-connector.yaml"
_LATER = "try again in a moment"
_QUOTA = "try again later, or have AWS raise the limits of the account"
_CREDENTIALS = "give the api, the deployer and the invoker AWS credentials, as the AWS SDK takes them"
_TRUST = "it must exist in the account and its trust policy must let lambda.amazonaws.com call sts:AssumeRole"

_log = structlog.get_logger(__name__)


def is_expired(error: BotoCoreError | ClientError) -> bool:
    """Tell whether AWS does not take any more what it gave us when we entered the account."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code", "") in _OURS


def translate(error: BotoCoreError | ClientError, what: str, *, role: str = "") -> PlatformError:
    """
    Return the error for callers.

    ``what`` is what was asked for, as a sentence goes on: "AWS refuses to ...". ``role`` is the execution role that
    was given along.
    """
    if isinstance(error, ClientError):
        return _translate(error, what, role)
    if isinstance(error, ParamValidationError):
        return CloudRefusedError(f"AWS refuses to {what}", details=str(error)[:_MAX_TEXT])
    _log.warning("aws_out_of_reach", what=what, reason=str(error))
    if isinstance(error, NoCredentialsError):
        return CloudUnavailableError("this installation has no AWS credentials of its own", suggestion=_CREDENTIALS)
    return CloudUnavailableError("AWS is out of reach", suggestion=_LATER)


def tags_hidden(text: str) -> CloudDeniedError:
    """Return the error of a function whose tags our role may not read; ``text`` is AWS's."""
    return CloudDeniedError("AWS does not let us read the tags of the function", details=text, suggestion=_STACK)


def not_known() -> CloudUnavailableError:
    """Return the error of what AWS does not let into any account: the credentials of this installation."""
    return CloudUnavailableError("AWS does not take this installation's own credentials", suggestion=_CREDENTIALS)


def unanswered(seconds: float) -> CloudUnavailableError:
    """Return the error of a call that had no answer for so long."""
    return CloudUnavailableError(f"AWS did not answer within {seconds:g} s", suggestion=_LATER)


def _translate(error: ClientError, what: str, role: str) -> PlatformError:  # noqa: PLR0911 - a table
    said = error.response.get("Error", {})
    code, text = said.get("Code", ""), said.get("Message", "")[:_MAX_TEXT]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED:
        return CloudUnavailableError(
            "AWS has too many calls of this account at once", details=text, suggestion=_QUOTA, issue=THROTTLED_ISSUE
        )
    if code in _FLEETING or status >= _SERVER_FAULT:
        _log.warning("aws_out_of_order", what=what, code=code, reason=text)
        issue = "fleeting" if code in _FLEETING else UNSURE_ISSUE
        return CloudUnavailableError("AWS cannot do that now", details=text, suggestion=_LATER, issue=issue)
    if code.startswith(_DENIED) or code in _OURS:
        return CloudDeniedError(f"AWS does not let us {what}", details=text, suggestion=_remedy(text, role))
    if code in _TOO_LARGE:
        return PayloadTooLargeError(f"AWS refuses to {what}: {text or 'it is too large'}", details=text)
    if code == "ResourceNotFoundException":
        return CloudFunctionGoneError("the function is not in AWS", details=text)
    if code == "ResourceConflictException":
        if "exist" in text.lower():
            return NameTakenError(f"AWS refuses to {what}: {text}", details=text)
        return CloudUnavailableError(
            "AWS is not done with the function yet", details=text, suggestion=_LATER, issue=BUSY_ISSUE
        )
    if "cannot be assumed by Lambda" in text or ("role" in text.lower() and "not valid" in text):
        return CloudRefusedError(
            f"AWS refuses to {what}: the execution role {role} cannot be assumed by Lambda; {_TRUST}",
            details=text,
            suggestion=_STACK,
            issue=ROLE_ISSUE,
        )
    return CloudRefusedError(f"AWS refuses to {what}: {text or code}", details=text)


def _remedy(text: str, role: str) -> str:
    if "iam:PassRole" in text:
        return (
            f"let the deploy role pass {role or 'the execution role'} to lambda.amazonaws.com (iam:PassRole): {_STACK}"
        )
    return _STACK
