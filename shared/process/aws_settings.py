"""
Settings of functions that run on AWS Lambda, in the accounts of customers.

Our own credentials, which only enter those accounts, come from the AWS SDK's own variables and files.
"""

import re
from dataclasses import dataclass

from shared.process.variables import matching, seconds, setting, whole

_HTTP_URL = re.compile(r"https?://[^\s/]+(/[^\s]*)?")
_HTTPS_URL = re.compile(r"https://[^\s/]+/[^\s]+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """How AWS Lambda is reached, and as whom functions run there."""

    endpoint_url: str | None = setting(
        "AWS_ENDPOINT_URL",
        matching(lambda value: _HTTP_URL.fullmatch(value) is not None, "an http or https URL"),
        absent="AWS",
        doc="Another address of AWS's STS and Lambda for functions: an emulator.",
    )
    execution_role: str | None = setting(
        "LAMBDA_EXECUTION_ROLE_ARN",
        matching(lambda value: _ROLE.fullmatch(value) is not None, "the ARN of an IAM role"),
        absent="`GatewaysAppLambdaExecutionRole` in the function's account",
        doc="The role that functions on AWS Lambda run as. It must be in the account they run in.",
        prefix="",
    )
    account_id: str | None = setting(
        "AWS_ACCOUNT_ID",
        matching(lambda value: _ACCOUNT.fullmatch(value) is not None, "12 digits"),
        absent="no link to the AWS console is offered",
        doc="The AWS account of this installation: the one that customers' roles let in.",
    )
    connector_template_url: str | None = setting(
        "AWS_CONNECTOR_TEMPLATE_URL",
        matching(lambda value: _HTTPS_URL.fullmatch(value) is not None, "an https URL"),
        absent="no link to the AWS console is offered",
        doc="Where `infrastructure/customer-connector.yaml` was put for AWS CloudFormation to fetch: an S3 URL.",
    )
    role_wait_s: float = setting(
        "AWS_ROLE_WAIT_S",
        seconds(0, 60),
        default="6",
        doc="How long a role that AWS denies or does not take is tried again: one that was just made is not known yet.",
    )
    patience_s: float = setting(
        "AWS_PATIENCE_S",
        seconds(0, 300),
        default="15",
        doc="How long a deployment is tried again while AWS is out of reach or has too many calls; then it is refused.",
    )
    calls_per_second: int = setting(
        "AWS_CALLS_PER_SECOND",
        whole(1, 10_000),
        default="15",
        doc="Most calls a second that change functions in one account and region, of each deployer: as AWS allows.",
    )
    max_invocations: int = setting(
        "AWS_MAX_INVOCATIONS",
        whole(1, 1000),
        default="64",
        doc="Most functions on AWS Lambda that an invoker waits for at once, a thread each.",
    )
