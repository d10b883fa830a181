"""
The whole way on an emulated AWS: the template makes the roles, we enter as one, functions run as the other.

What the emulator does not do faithfully is left to the fake (contracts/gateways.md section 4.6).
"""

from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from shared.cloud.aws.sessions import AwsConnection, AwsSessions
from shared.domain.cloud_errors import CloudRefusedError
from shared.domain.errors import NameTakenError
from shared.domain.placement import CloudState
from shared.process.aws_settings import AwsSettings
from tests.support.cloud import SPEC, Ground, changed
from tests.support.emulated_aws import OURS, REGION, client, deploy_connector

CUSTOMER = "777788889999"
EXTERNAL_ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def stack(moto_url: str) -> dict[str, str]:
    """The outputs of the stack, deployed in the customer's account."""
    return deploy_connector(moto_url, CUSTOMER, EXTERNAL_ID)


@pytest.fixture
async def ground(moto_url: str, stack: dict[str, str]) -> AsyncIterator[Ground]:
    sessions = AwsSessions(AwsSettings(endpoint_url=moto_url), threads=4)
    yield Ground.make(sessions, AwsConnection(id="con_1", role_arn=stack["DeployRoleArn"], external_id=EXTERNAL_ID))
    await sessions.close()


def test_the_stack_makes_the_two_roles(moto_url: str, stack: dict[str, str]) -> None:
    assert stack == {
        "DeployRoleArn": f"arn:aws:iam::{CUSTOMER}:role/GatewaysAppDeployRole",
        "ExecutionRoleArn": f"arn:aws:iam::{CUSTOMER}:role/GatewaysAppLambdaExecutionRole",
    }
    with closing(client(moto_url, "iam", CUSTOMER)) as iam:
        deploy = iam.get_role(RoleName="GatewaysAppDeployRole")["Role"]["AssumeRolePolicyDocument"]
        execution = iam.get_role(RoleName="GatewaysAppLambdaExecutionRole")["Role"]["AssumeRolePolicyDocument"]

    assert deploy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{OURS}:root"}
    assert deploy["Statement"][0]["Condition"] == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
    assert execution["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}


async def test_a_function_lives_its_life_in_the_customers_account(
    moto_url: str, stack: dict[str, str], ground: Ground
) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)
    seen = await ground.seen(desired)

    assert seen.arn == f"arn:aws:lambda:{REGION}:{CUSTOMER}:function:thumbs"
    assert (seen.state, seen.memory_mb, seen.timeout_s) == (CloudState.ACTIVE, 128, 30)
    assert (seen.architecture, seen.handler, seen.environment) == ("arm64", SPEC.handler, {"MODE": "live"})
    assert seen.role == stack["ExecutionRoleArn"]
    assert seen.code_sha256 == desired.package_sha256
    assert seen.url is not None
    assert seen.url.endswith(f".lambda-url.{REGION}.on.aws/")
    with closing(client(moto_url, "lambda", CUSTOMER)) as aws:
        policy = aws.get_policy(FunctionName="thumbs")["Policy"]
        assert '"FunctionURLAllowPublicAccess"' in policy
        assert '"FunctionURLInvokeAllowPublicAccess"' in policy

    await ground.deploy(changed(desired, memory_mb=256, timeout_s=60))
    assert ((await ground.seen(desired)).memory_mb, (await ground.seen(desired)).timeout_s) == (256, 60)
    new = await ground.desired(files={"index.js": "x"})
    await ground.deploy(new)
    assert (await ground.seen(new)).code_sha256 == new.package_sha256

    await ground.provider.remove(ground.placement())
    await ground.provider.remove(ground.placement())
    assert (await ground.provider.observe(desired)).cloud is None


async def test_a_function_of_somebody_else_keeps_its_name(moto_url: str, ground: Ground) -> None:
    desired = await ground.desired(name="taken")
    with closing(client(moto_url, "lambda", CUSTOMER)) as aws:
        aws.create_function(
            FunctionName="taken",
            Runtime="python3.12",
            Role=f"arn:aws:iam::{CUSTOMER}:role/GatewaysAppLambdaExecutionRole",
            Handler="a.b",
            Code={"ZipFile": desired.content},
        )
        with pytest.raises(NameTakenError):
            await ground.deploy(desired)
        assert aws.get_function(FunctionName="taken")["Configuration"]["Handler"] == "a.b"
        aws.delete_function(FunctionName="taken")


async def test_an_execution_role_that_is_not_there_is_named(ground: Ground) -> None:
    missing = f"arn:aws:iam::{CUSTOMER}:role/missing"
    other = Ground.make(ground.sessions, ground.connection, execution_role=missing)
    desired = await other.desired(name="roleless")

    with pytest.raises(CloudRefusedError, match="role/missing cannot be assumed by Lambda"):
        await other.deploy(desired)

    assert (await other.provider.observe(desired)).cloud is None
