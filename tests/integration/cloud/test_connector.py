"""The template that lets us into a customer's account: well formed, and neither too little nor too much in it."""

from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.decode import decode

from services.invoker.providers.aws import _Run
from shared.domain.cloud_errors import CloudRefusedError
from tests.architecture.files import ROOT
from tests.support.cloud import Ground, changed
from tests.support.fake_aws import AwsError, FakeAws

TEMPLATE = ROOT / "infrastructure" / "customer-connector.yaml"
DENIED = AwsError(403, "AccessDeniedException", "no")


def resources() -> dict[str, Any]:
    template, problems = decode(TEMPLATE)
    assert problems == []
    found: dict[str, Any] = template["Resources"]
    return found


def allowed() -> list[dict[str, Any]]:
    """Return the statements of what the deploy role may do."""
    (policy,) = resources()["DeployRole"]["Properties"]["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


def test_the_template_is_well_formed() -> None:
    assert lint_file(TEMPLATE) == []


def test_the_execution_role_trusts_lambda_alone_and_may_write_its_logs() -> None:
    role = resources()["ExecutionRole"]["Properties"]

    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    (policy,) = role["ManagedPolicyArns"]
    assert policy["Fn::Sub"].endswith(":iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")


def test_the_deploy_role_may_pass_that_role_alone_and_to_lambda_alone() -> None:
    (passing,) = [each for each in allowed() if each["Action"] == "iam:PassRole"]

    assert passing["Resource"] == {"Fn::GetAtt": ["ExecutionRole", "Arn"]}
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    assert not [each for each in allowed() if "*" in str(each["Action"])]


async def test_every_call_that_is_made_is_one_the_deploy_role_may_make(aws: FakeAws, ground: Ground) -> None:
    aws.fail("AddPermission", DENIED)
    await ground.deploy(await ground.desired())
    desired = await ground.desired(name="second", function_id="fn_2")
    await ground.deploy(desired)
    await ground.deploy(changed(desired, memory_mb=256, architecture="x86_64"))
    await ground.sessions.call(ground.connection, "eu-west-1", _Run("second", b"{}"), what="call the function")
    await ground.provider.remove(ground.placement("second", "fn_2"))

    made = {f"lambda:{name}" for name in aws.calls} - {"lambda:AssumeRole", "lambda:GetCallerIdentity"}
    made = {name.replace("lambda:Invoke", "lambda:InvokeFunction") for name in made}
    (functions,) = [each for each in allowed() if each["Sid"] == "Functions"]
    assert made <= set(functions["Action"])
    # Those are not calls but what calls with tags, and changes of a URL by hand, ask for.
    spare = {
        "lambda:GetFunctionConfiguration",
        "lambda:ListTags",
        "lambda:TagResource",
        "lambda:UpdateFunctionUrlConfig",
        "lambda:DeleteFunctionUrlConfig",
    }
    assert set(functions["Action"]) - made <= spare


async def test_what_boto3_itself_refuses_to_send_is_a_refusal_too(ground: Ground) -> None:
    with pytest.raises(CloudRefusedError):
        await ground.deploy(changed(await ground.desired(), handler=1))
