"""A function brought to AWS Lambda and changed there, over an AWS that takes its time, denies and fails."""

import pytest

from services.deployer.providers.provider import (
    CreateFunction,
    Observed,
    OpenUrl,
    ProviderStep,
    StorePackage,
    UpdateCode,
    UpdateConfiguration,
)
from shared.cloud.aws.functions import Patience
from shared.cloud.aws.sessions import AwsConnection, AwsSessions
from shared.domain.cloud_errors import CloudDeniedError, CloudRefusedError
from shared.domain.errors import NameTakenError, UnavailableError
from shared.domain.placement import CloudState
from tests.support.cloud import SPEC, Ground, changed
from tests.support.fake_aws import ACCOUNT, AwsError, FakeAws

ROLE_TEXT = "The role defined for the function cannot be assumed by Lambda."
DENIED = AwsError(403, "AccessDeniedException", "User is not authorized to perform: lambda:CreateFunctionUrlConfig")


def names(steps: list[ProviderStep]) -> list[type]:
    return [type(step) for step in steps]


async def test_a_new_function_is_asked_for_with_everything_and_given_a_url(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()

    steps = await ground.deploy(desired)
    request = dict(next(body for action, body in aws.requests if action == "CreateFunction"))
    seen = await ground.seen(desired)

    assert names(steps) == [StorePackage, CreateFunction, OpenUrl]
    assert request.pop("Code")
    assert request == {
        "FunctionName": "thumbs",
        "Runtime": "python3.12",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/GatewaysAppLambdaExecutionRole",
        "Handler": "lambda_function.lambda_handler",
        "Description": "makes thumbnails",
        "Timeout": 30,
        "MemorySize": 128,
        "EphemeralStorage": {"Size": 512},
        "Architectures": ["arm64"],
        "Environment": {"Variables": {"MODE": "live"}},
        "PackageType": "Zip",
        "Tags": {"gateways:project": "shop", "gateways:environment": "master", "tidemill:function": "fn_1"},
    }
    assert seen.state is CloudState.CREATING
    assert seen.url is not None
    assert aws.functions["thumbs"].statements == {"FunctionURLAllowPublicAccess", "FunctionURLInvokeAllowPublicAccess"}
    assert (await ground.seen(desired)).state is CloudState.ACTIVE


async def test_the_url_is_public_and_open_to_all_origins(aws: FakeAws, ground: Ground) -> None:
    await ground.deploy(await ground.desired())
    bodies = [dict(body) for action, body in aws.requests if action in ("CreateFunctionUrlConfig", "AddPermission")]

    assert bodies == [
        {"AuthType": "NONE", "Cors": {"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": ["*"]}},
        {
            "StatementId": "FunctionURLAllowPublicAccess",
            "Action": "lambda:InvokeFunctionUrl",
            "Principal": "*",
            "FunctionUrlAuthType": "NONE",
        },
        {
            "StatementId": "FunctionURLInvokeAllowPublicAccess",
            "Action": "lambda:InvokeFunction",
            "Principal": "*",
            "InvokedViaFunctionUrl": True,
        },
    ]


@pytest.mark.parametrize("denied", ["CreateFunctionUrlConfig", "AddPermission"])
async def test_a_function_whose_url_is_denied_is_made_without_one_and_nothing_half_made_stays(
    denied: str, aws: FakeAws, ground: Ground
) -> None:
    aws.fail(denied, DENIED)
    desired = await ground.desired()

    await ground.deploy(desired)

    assert (await ground.seen(desired)).url is None
    assert aws.functions["thumbs"].statements == set()


async def test_a_deployer_that_was_cut_off_after_the_create_is_taken_up_by_the_next(
    aws: FakeAws, ground: Ground
) -> None:
    desired = await ground.desired()
    aws.fail("CreateFunctionUrlConfig", AwsError(403, "AccessDeniedException", "as if we had died here"))
    await ground.deploy(desired)
    ground.active = None

    steps = await ground.deploy(desired)

    assert names(steps) == [OpenUrl]
    assert (await ground.seen(desired)).url is not None


async def test_a_create_whose_answer_was_lost_is_done_once(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)
    assert desired.placement is not None

    await ground.provider.execute(CreateFunction(region="eu-west-1", name="thumbs"), desired)

    assert len(aws.functions) == 1


async def test_a_name_that_another_function_has_is_refused_and_that_one_left_alone(
    aws: FakeAws, ground: Ground
) -> None:
    first = await ground.desired()
    await ground.deploy(first)
    ground.active = None
    second = await ground.desired(files={"lambda_function.py": "other"}, function_id="fn_2")

    with pytest.raises(NameTakenError, match="thumbs already exists"):
        await ground.deploy(second)
    with pytest.raises(NameTakenError, match="thumbs already exists"):
        await ground.provider.execute(CreateFunction(region="eu-west-1", name="thumbs"), second)

    assert aws.functions["thumbs"].package == first.content
    await ground.provider.remove(ground.placement(function_id="fn_2"))
    assert "thumbs" in aws.functions


async def test_a_role_that_was_just_made_is_tried_again(aws: FakeAws, ground: Ground) -> None:
    aws.fail("CreateFunction", *[AwsError(400, "InvalidParameterValueException", ROLE_TEXT)] * 2)

    await ground.deploy(await ground.desired())

    assert aws.count("CreateFunction") == 3


async def test_a_role_that_is_never_believed_is_named_with_its_trust_and_nothing_is_made(
    aws: FakeAws, ground: Ground
) -> None:
    aws.fail("CreateFunction", *[AwsError(400, "InvalidParameterValueException", ROLE_TEXT)] * 100)

    with pytest.raises(CloudRefusedError) as caught:
        await ground.deploy(await ground.desired())

    assert "GatewaysAppLambdaExecutionRole" in caught.value.message
    assert "lambda.amazonaws.com" in caught.value.message
    assert caught.value.fields["details"] == ROLE_TEXT
    assert aws.functions == {}


async def test_a_role_we_may_not_pass_is_denied_with_what_to_mend(aws: FakeAws, ground: Ground) -> None:
    text = "User is not authorized to perform: iam:PassRole on resource: x"
    aws.fail("CreateFunction", AwsError(403, "AccessDeniedException", text))

    with pytest.raises(CloudDeniedError) as caught:
        await ground.deploy(await ground.desired())

    assert caught.value.fields["details"] == text
    assert "iam:PassRole" in str(caught.value.fields["suggestion"])
    assert "GatewaysAppLambdaExecutionRole" in str(caught.value.fields["suggestion"])


async def test_another_execution_role_is_used_if_it_is_in_the_account(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    inside = f"arn:aws:iam::{ACCOUNT}:role/own"
    await (ground := Ground.make(sessions, connection, execution_role=inside)).deploy(await ground.desired())
    assert aws.functions["thumbs"].configuration["Role"] == inside

    outside = Ground.make(sessions, connection, execution_role="arn:aws:iam::999988887777:role/own")
    with pytest.raises(CloudRefusedError, match="999988887777"):
        await outside.deploy(await outside.desired(name="other"))
    assert "other" not in aws.functions


async def test_a_change_waits_for_the_one_before_and_for_its_own_end(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)

    steps = await ground.deploy(changed(desired, memory_mb=256, timeout_s=60, architecture="x86_64"))
    seen = await ground.seen(desired)

    assert names(steps) == [UpdateConfiguration, UpdateCode]
    assert (seen.memory_mb, seen.timeout_s, seen.architecture) == (256, 60, "x86_64")
    assert seen.state is CloudState.ACTIVE
    assert next(dict(body) for action, body in aws.requests if action == "UpdateFunctionConfiguration") == {
        "MemorySize": 256,
        "Timeout": 60,
    }
    code = next(body for action, body in aws.requests if action == "UpdateFunctionCode")
    assert code["Architectures"] == ["x86_64"]


async def test_what_is_as_desired_already_costs_no_change(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)

    assert await ground.deploy(desired) == []
    assert aws.count("UpdateFunctionConfiguration") + aws.count("UpdateFunctionCode") == 0


async def test_new_code_replaces_the_old(aws: FakeAws, ground: Ground) -> None:
    await ground.deploy(await ground.desired())
    desired = await ground.desired(files={"lambda_function.py": "x = 1\n", "lib/a.py": ""})

    steps = await ground.deploy(desired)

    assert names(steps) == [StorePackage, UpdateCode]
    assert aws.functions["thumbs"].package == desired.content


async def test_a_change_that_somebody_else_makes_at_the_same_time_is_waited_for(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)
    aws.fail(
        "UpdateFunctionConfiguration",
        AwsError(
            409, "ResourceConflictException", "The operation cannot be performed at this time. An update is in progress"
        ),
    )

    await ground.deploy(changed(desired, memory_mb=512))

    assert (await ground.seen(desired)).memory_mb == 512


async def test_a_refusal_of_the_code_takes_the_new_configuration_back(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)
    aws.fail("UpdateFunctionCode", AwsError(400, "InvalidParameterValueException", "Unzipped size must be smaller"))

    with pytest.raises(CloudRefusedError, match="Unzipped size"):
        await ground.deploy(changed(desired, memory_mb=256, architecture="x86_64"))

    seen = await ground.seen(desired)
    assert (seen.memory_mb, seen.architecture) == (128, "arm64")


async def test_a_change_that_aws_takes_and_then_fails_is_told_with_its_reason(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)
    aws.becomes["code"] = {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "The image is damaged"}

    with pytest.raises(CloudRefusedError, match="The image is damaged"):
        await ground.deploy(await ground.desired(files={"lambda_function.py": "x"}))

    assert (await ground.seen(desired)).state is CloudState.FAILED


async def test_a_change_that_lasts_longer_than_our_patience_goes_on_as_updating(
    aws: FakeAws, sessions: AwsSessions, connection: AwsConnection
) -> None:
    ground = Ground.make(sessions, connection, patience=Patience(settle_s=0.3, first_poll_s=0.02, longest_poll_s=0.05))
    desired = await ground.desired()
    await ground.deploy(desired)
    await ground.seen(desired)
    aws.looks = 10_000

    await ground.deploy(changed(desired, memory_mb=256))

    assert (await ground.seen(desired)).state is CloudState.UPDATING


async def test_a_function_that_was_deleted_behind_our_back_is_made_again(aws: FakeAws, ground: Ground) -> None:
    desired = await ground.desired()
    await ground.deploy(desired)
    aws.functions.clear()

    assert (await ground.provider.observe(desired)).cloud is None
    assert names(await ground.deploy(desired)) == [CreateFunction, OpenUrl]


async def test_a_function_that_is_gone_is_removed_without_complaint_and_a_denied_delete_is_told(
    aws: FakeAws, ground: Ground
) -> None:
    await ground.deploy(await ground.desired())
    aws.fail("DeleteFunction", AwsError(403, "AccessDeniedException", "no lambda:DeleteFunction"))

    with pytest.raises(CloudDeniedError):
        await ground.provider.remove(ground.placement())
    assert "thumbs" in aws.functions
    for _ in range(2):
        await ground.provider.remove(ground.placement())
    assert aws.functions == {}


async def test_throttling_is_nobodys_fault(aws: FakeAws, ground: Ground) -> None:
    aws.fail("GetFunction", *[AwsError(429, "TooManyRequestsException", "Rate exceeded")] * 3)

    with pytest.raises(UnavailableError):
        await ground.deploy(await ground.desired())


async def test_the_variables_of_a_function_are_not_shown_by_what_is_logged(ground: Ground) -> None:
    desired = changed(await ground.desired(), environment={"TOKEN": "hunter2"})
    await ground.deploy(desired)
    seen = await ground.seen(desired)
    steps = await ground.deploy(changed(desired, environment={"TOKEN": "hunter3"}))

    assert seen.environment == {"TOKEN": "hunter2"}
    assert "hunter" not in f"{seen}{steps}"
    assert SPEC.environment


async def test_a_change_of_which_nobody_knows_how_far_it_came_is_taken_back(aws: FakeAws, ground: Ground) -> None:
    before = await ground.desired()
    await ground.deploy(before)
    was = dict(aws.functions["thumbs"].configuration)
    after = changed(await ground.desired(files={"lambda_function.py": "x = 2\n"}), memory_mb=256, architecture="x86_64")
    seen = await ground.provider.observe(after)
    steps = ground.provider.plan(after, Observed(active_sha256=ground.active, stored=seen.stored, cloud=seen.cloud))
    for step in steps:
        await ground.provider.execute(step, after)

    await ground.provider.revert(steps, after)

    there = aws.functions["thumbs"].configuration
    for name in ("MemorySize", "Architectures", "CodeSha256"):
        assert there[name] == was[name]
    updates = len(aws.calls)
    await ground.provider.revert(steps, after)
    assert not [action for action in aws.calls[updates:] if action.startswith("Update")]


async def test_a_function_that_does_not_say_it_is_ours_is_not_removed(aws: FakeAws, ground: Ground) -> None:
    await ground.deploy(await ground.desired())
    aws.functions["thumbs"].tags.clear()

    await ground.provider.remove(ground.placement())

    assert "thumbs" in aws.functions


async def test_a_function_whose_tags_we_may_not_read_is_not_taken_for_that_of_somebody_else(
    aws: FakeAws, ground: Ground
) -> None:
    await ground.deploy(await ground.desired())
    aws.functions["thumbs"].hides_tags = True

    with pytest.raises(CloudDeniedError, match="tags") as caught:
        await ground.provider.remove(ground.placement())

    assert "ListTags" in str(caught.value.fields["details"])
    assert caught.value.fields["suggestion"]
    assert "thumbs" in aws.functions
