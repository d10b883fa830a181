"""What AWS says went wrong, in the platform's errors: who is to mend it, and with what text."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from shared.cloud.aws.errors import BUSY_ISSUE, ROLE_ISSUE, THROTTLED_ISSUE, UNSURE_ISSUE, translate
from shared.domain.cloud_errors import (
    CloudDeniedError,
    CloudFunctionGoneError,
    CloudRefusedError,
    CloudUnavailableError,
)
from shared.domain.errors import NameTakenError, PayloadTooLargeError, PlatformError

ROLE = "arn:aws:iam::111122223333:role/own"


def told(code: str, message: str = "as it is", status: int = 400) -> PlatformError:
    error = ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item] # the rest is not read
        "CreateFunction",
    )
    return translate(error, "create the function", role=ROLE)


@pytest.mark.parametrize(
    ("code", "message", "status", "ours"),
    [
        ("AccessDeniedException", "not authorized", 403, CloudDeniedError),
        ("AccessDenied", "not authorized", 403, CloudDeniedError),
        ("ExpiredTokenException", "expired", 403, CloudDeniedError),
        ("UnrecognizedClientException", "unknown", 403, CloudDeniedError),
        ("ResourceNotFoundException", "Function not found", 404, CloudFunctionGoneError),
        ("ResourceConflictException", "Function already exist: f", 409, NameTakenError),
        ("ResourceConflictException", "An update is in progress", 409, CloudUnavailableError),
        ("TooManyRequestsException", "Rate exceeded", 429, CloudUnavailableError),
        ("ThrottlingException", "Rate exceeded", 400, CloudUnavailableError),
        ("ServiceException", "oops", 500, CloudUnavailableError),
        ("EC2ThrottledException", "oops", 502, CloudUnavailableError),
        ("RequestTooLargeException", "Request must be smaller than 6291556 bytes", 413, PayloadTooLargeError),
        ("InvalidParameterValueException", "The runtime go1.x is no longer supported", 400, CloudRefusedError),
        ("CodeStorageExceededException", "too much", 400, CloudRefusedError),
        ("MadeTomorrowException", "?", 400, CloudRefusedError),
    ],
)
def test_each_answer_of_aws_is_one_error_of_ours(
    code: str, message: str, status: int, ours: type[PlatformError]
) -> None:
    error = told(code, message, status)

    assert type(error) is ours
    assert error.fields["details"] == message


def test_a_refusal_carries_what_aws_said_to_whoever_can_mend_it() -> None:
    error = told("InvalidParameterValueException", "The runtime go1.x is no longer supported")

    assert error.message == "AWS refuses to create the function: The runtime go1.x is no longer supported"


def test_a_role_is_named_with_what_its_trust_must_be() -> None:
    error = told("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")

    assert ROLE in error.message
    assert "lambda.amazonaws.com" in error.message
    assert error.fields["issue"] == ROLE_ISSUE


def test_a_role_that_may_not_be_passed_is_named_in_the_suggestion() -> None:
    error = told("AccessDeniedException", "is not authorized to perform: iam:PassRole on resource", 403)

    assert ROLE in str(error.fields["suggestion"])
    assert "iam:PassRole" in str(error.fields["suggestion"])


def test_throttling_can_be_told_from_an_outage() -> None:
    assert told("TooManyRequestsException", status=429).fields["issue"] == THROTTLED_ISSUE
    assert told("ServiceException", status=500).fields["issue"] == UNSURE_ISSUE
    assert told("ResourceConflictException", "An update is in progress", 409).fields["issue"] == BUSY_ISSUE
    assert told("EC2ThrottledException", status=502).fields["issue"] not in (UNSURE_ISSUE, THROTTLED_ISSUE)


def test_a_long_text_is_cut() -> None:
    assert len(str(told("Anything", "x" * 5000).fields["details"])) == 1000


def test_no_network_and_no_credentials_are_our_own_trouble() -> None:
    away = translate(EndpointConnectionError(endpoint_url="https://sts"), "enter the account")
    nobody = translate(NoCredentialsError(), "enter the account")

    assert type(away) is type(nobody) is CloudUnavailableError
    assert "credentials" in nobody.message
    assert "https://sts" not in away.message
