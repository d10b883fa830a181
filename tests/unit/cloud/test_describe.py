"""AWS Lambda's states in our words (contracts/gateways.md section 4.2), and a function as it describes one."""

import base64
import hashlib
from typing import Any

import pytest

from shared.cloud.aws.describe import OWNER_TAG, cloud_function_of, is_busy, reason_of, state_of
from shared.domain.placement import CloudState

CONFIGURATION: dict[str, Any] = {
    "FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:thumbs",
    "Runtime": "python3.12",
    "Handler": "a.b",
    "MemorySize": 128,
    "Timeout": 30,
    "State": "Active",
}


@pytest.mark.parametrize(
    ("state", "update", "ours"),
    [
        ("Pending", None, CloudState.CREATING),
        ("Pending", "InProgress", CloudState.CREATING),
        ("Active", None, CloudState.ACTIVE),
        ("Active", "Successful", CloudState.ACTIVE),
        ("Active", "InProgress", CloudState.UPDATING),
        ("Inactive", "InProgress", CloudState.UPDATING),
        ("Active", "Failed", CloudState.FAILED),
        ("Inactive", "Successful", CloudState.INACTIVE),
        ("Deactivating", "Successful", CloudState.INACTIVE),
        ("Deactivated", "Successful", CloudState.INACTIVE),
        ("ActiveNonInvocable", "Successful", CloudState.INACTIVE),
        ("Failed", "Successful", CloudState.FAILED),
        ("Deleting", "Successful", CloudState.FAILED),
        ("MadeTomorrow", "Successful", CloudState.ACTIVE),
    ],
)
def test_each_state_of_lambda_is_one_of_ours(state: str, update: str | None, ours: CloudState) -> None:
    configuration = {"State": state, "LastUpdateStatus": update}

    assert state_of(configuration) is ours
    assert is_busy(configuration) is (ours in (CloudState.CREATING, CloudState.UPDATING))


def test_a_function_without_a_state_is_active() -> None:
    assert state_of({}) is CloudState.ACTIVE


def test_the_reason_is_that_of_what_failed() -> None:
    assert reason_of({"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "a", "StateReason": "b"}) == "a"
    assert reason_of({"LastUpdateStatus": "Successful", "StateReason": "b"}) == "b"
    assert reason_of({"State": "Failed", "StateReasonCode": "c"}) == "c"
    assert reason_of({}) is None


def test_a_function_is_described_with_its_code_owner_and_url_in_one_form() -> None:
    digest = hashlib.sha256(b"zip")
    answer = {
        "Configuration": {**CONFIGURATION, "CodeSha256": base64.b64encode(digest.digest()).decode()},
        "Tags": {OWNER_TAG: "func_a"},
    }

    seen = cloud_function_of(answer, "https://x.lambda-url.eu-west-1.on.aws")

    assert seen.code_sha256 == digest.hexdigest()
    assert seen.owner == "func_a"
    assert seen.url == "https://x.lambda-url.eu-west-1.on.aws/"
    assert (seen.architecture, seen.tmp_mb, seen.environment) == ("x86_64", 512, {})


def test_what_lambda_leaves_out_is_nothing_we_know() -> None:
    seen = cloud_function_of({"Configuration": {**CONFIGURATION, "CodeSha256": "?"}}, None)

    assert (seen.code_sha256, seen.owner, seen.url) == ("", "", None)
