"""
The accounts of an emulated AWS (moto's server), as their owners see them: what our own credentials never do there.

Our side of the same AWS is ``shared/cloud/aws``. All emulators of a process are one AWS: use an account of your own.
"""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3

TEMPLATE = Path(__file__).parents[2] / "infrastructure" / "customer-connector.yaml"
REGION = "eu-west-1"
OURS = "123456789012"
"""The account whose credentials are used from outside."""
_NOBODY = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def client(url: str, service: str, account: str | None = None) -> Any:
    """Return a boto3 client of a service in an account, as its owner; None is the one we come from."""
    make: Any = boto3.client  # the name of the service is a value
    credentials = _NOBODY if account is None else _inside(url, account)
    return make(service, region_name=REGION, endpoint_url=url, **credentials)


def deploy_connector(url: str, account: str, external_id: str) -> dict[str, str]:
    """Deploy the template that lets us into an account; return the outputs of the stack."""
    return deploy_template(url, account, TEMPLATE, {"TrustedAccountId": OURS, "ExternalId": external_id})


def deploy_template(
    url: str,
    account: str,
    template: Path,
    parameters: Mapping[str, str],
    *,
    name: str = "tidemill-connection",
    capability: str = "CAPABILITY_NAMED_IAM",
) -> dict[str, str]:
    """Deploy a template of CloudFormation in an account; return the outputs of the stack."""
    with closing(client(url, "cloudformation", account)) as cloudformation:
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=template.read_text(),
            Capabilities=[capability],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        made = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}


def _inside(url: str, account: str) -> dict[str, str]:
    with closing(client(url, "sts")) as sts:
        given = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/owner", RoleSessionName="owner")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
