"""
One function at AWS Lambda: every call that makes, changes, describes and removes it, in the right order.

Calls may be made twice: what is there already is left as it is. AWS changes one thing at a time and settles it in the
background, so that each change waits, for a bounded time, until the last one is done. It also takes some seconds to
believe in a role that was just made; a refusal of the role is therefore tried again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from shared.cloud.aws.describe import OWNER_TAG, cloud_function_of, is_busy, reason_of, state_of
from shared.cloud.aws.errors import BUSY_ISSUE, ROLE_ISSUE, tags_hidden
from shared.cloud.aws.sessions import CALL_S, AwsConnection, AwsSessions
from shared.domain.cloud_errors import (
    FAILED_ISSUE,
    CloudFunctionGoneError,
    CloudRefusedError,
    CloudUnavailableError,
)
from shared.domain.errors import NameTakenError, PlatformError
from shared.domain.function import VersionSpec
from shared.domain.placement import CloudFunction, CloudState, Placement

DEFAULT_ROLE = "GatewaysAppLambdaExecutionRole"
_CALL_S = 20.0
"""For calls that bring no package; those that do have longer."""
_PERMISSIONS: Mapping[str, Mapping[str, object]] = {
    "FunctionURLAllowPublicAccess": {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
    "FunctionURLInvokeAllowPublicAccess": {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
}
"""Both are needed: since October 2025 a URL whose function lacks the second answers 403."""

_PARAMETERS: Mapping[str, Callable[[Any], dict[str, object]]] = {
    "runtime": lambda value: {"Runtime": value},
    "handler": lambda value: {"Handler": value},
    "memory_mb": lambda value: {"MemorySize": value},
    "timeout_s": lambda value: {"Timeout": value},
    "tmp_mb": lambda value: {"EphemeralStorage": {"Size": value}},
    "environment": lambda value: {"Environment": {"Variables": dict(value)}},
    "description": lambda value: {"Description": value},
}
CONFIGURATION = tuple(_PARAMETERS)
"""What ``configure`` may change. The architecture goes with the code."""

Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for AWS: ``settle_s`` for a change, polled more and more slowly; ``role_wait_s`` for a role."""

    settle_s: float = 60.0
    first_poll_s: float = 0.2
    longest_poll_s: float = 2.0
    role_wait_s: float = 6.0
    role_pause_s: float = 2.0


class LambdaFunction:
    """The function of a placement, as the deploy role of its account sees it. Holds nothing open."""

    def __init__(
        self,
        sessions: AwsSessions,
        connection: AwsConnection,
        placement: Placement,
        *,
        execution_role: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._sessions = sessions
        self._connection = connection
        self._placement = placement
        partition = connection.role_arn.split(":")[1]
        self._role = execution_role or f"arn:{partition}:iam::{connection.account_id}:role/{DEFAULT_ROLE}"
        self._patience = patience or Patience()
        self._name = placement.name

    async def describe(self) -> CloudFunction | None:
        """Return the function as it is; None when there is none of that name."""
        try:
            answer = await self._read()
        except CloudFunctionGoneError:
            return None
        return cloud_function_of(answer, await self._url())

    async def create(self, spec: VersionSpec, description: str, package: bytes) -> None:
        """
        Make the function; returns when AWS has accepted it, which is before it can run.

        Raises:
            NameTakenError: the account has another function of that name in the region.
            CloudDeniedError: our role may not do that, or may not pass the execution role.
            CloudRefusedError: AWS does not take it; ``issue`` is ``ROLE_ISSUE`` when it is about the execution role.
        """
        self._check_role()
        values = {name: getattr(spec, name) for name in CONFIGURATION if name != "description"}
        request = _parameters({**values, "description": description}) | {
            "FunctionName": self._name,
            "Role": self._role,
            "Code": {"ZipFile": package},
            "Architectures": [spec.architecture],
            "PackageType": "Zip",
            "Tags": {**self._placement.labels, OWNER_TAG: self._placement.function_id},
        }
        give_up_at = time.monotonic() + self._patience.role_wait_s
        while True:
            try:
                await self._call(lambda aws: aws.create_function(**request), "create the function", deadline_s=CALL_S)
            except NameTakenError:
                await self._demand_ours()
                return  # an earlier try of ours that was cut off
            except CloudRefusedError as error:
                if error.fields.get("issue") != ROLE_ISSUE or time.monotonic() >= give_up_at:
                    raise
                await asyncio.sleep(self._patience.role_pause_s)
            else:
                return

    async def open_url(self) -> str | None:
        """
        Let anybody call the function at an address of its own; return that.

        None when it cannot be: what was half made is taken away again, and the function does without.
        """
        try:
            return await self._open_url()
        except PlatformError as error:
            _log.warning("function_url_not_made", function_id=self._placement.function_id, **_told(error))
        try:
            await self._close_url()
        except PlatformError as error:
            _log.warning("function_url_left_half_made", function_id=self._placement.function_id, **_told(error))
        return None

    async def configure(self, changes: Mapping[str, object]) -> None:
        """
        Change some of ``CONFIGURATION`` and wait until it is done or the patience is over.

        Raises:
            CloudRefusedError: AWS does not take the change, or took it and failed.
            CloudUnavailableError: AWS is busy with another change for too long.
        """
        request = _parameters(changes) | {"FunctionName": self._name}
        await self._change(
            lambda aws: aws.update_function_configuration(**request), "change the configuration of the function"
        )

    async def replace_code(self, package: bytes, architecture: str) -> None:
        """Run this package from now on, on this architecture; waits and raises as ``configure`` does."""
        await self._change(
            lambda aws: aws.update_function_code(
                FunctionName=self._name, ZipFile=package, Architectures=[architecture]
            ),
            "change the code of the function",
        )

    async def remove(self) -> None:
        """Delete the function, its URL with it. One that is gone, or is not ours, is left as it is."""
        try:
            answer = await self._read()
            if (answer.get("Tags") or {}).get(OWNER_TAG) == self._placement.function_id:
                await self._call(lambda aws: aws.delete_function(FunctionName=self._name), "delete the function")
        except CloudFunctionGoneError:
            return

    def _check_role(self) -> None:
        account = self._role.split(":")[4]
        if account != self._connection.account_id:
            raise CloudRefusedError(
                f"the execution role {self._role} is in account {account}; a function in account "
                f"{self._connection.account_id} can only run as a role of its own account",
                issue=ROLE_ISSUE,
            )

    async def _demand_ours(self) -> None:
        found = await self.describe()
        if found is None or found.owner != self._placement.function_id:
            raise NameTakenError(
                f"a function named {self._name} already exists in the account in {self._placement.region}"
            )

    async def _url(self) -> str | None:
        try:
            answer = await self._call(
                lambda aws: aws.get_function_url_config(FunctionName=self._name), "read the URL of the function"
            )
        except CloudFunctionGoneError:
            return None
        url: str = answer["FunctionUrl"]
        return url

    async def _open_url(self) -> str | None:
        cors = {"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": ["*"]}
        await self._unless_there(
            lambda aws: aws.create_function_url_config(FunctionName=self._name, AuthType="NONE", Cors=cors),
            "give the function a URL",
        )
        for statement, permission in _PERMISSIONS.items():
            request = {"FunctionName": self._name, "StatementId": statement, "Principal": "*", **permission}
            await self._unless_there(partial(_permit, request), "let anybody call the function by its URL")
        return await self._url()

    async def _close_url(self) -> None:
        for statement in _PERMISSIONS:
            await self._unless_gone(partial(_forbid, {"FunctionName": self._name, "StatementId": statement}))
        await self._unless_gone(lambda aws: aws.delete_function_url_config(FunctionName=self._name))

    async def _unless_there(self, request: Callable[[Any], object], what: str) -> None:
        try:
            await self._call(request, what)
        except NameTakenError:
            return

    async def _unless_gone(self, request: Callable[[Any], object]) -> None:
        try:
            await self._call(request, "take back what was half made")
        except CloudFunctionGoneError:
            return

    async def _change(self, request: Callable[[Any], Mapping[str, Any]], what: str) -> None:
        deadline = time.monotonic() + self._patience.settle_s
        while True:
            try:
                configuration = await self._call(request, what, deadline_s=CALL_S)
                break
            except CloudUnavailableError as error:
                # AWS is at another change, or is still making the function.
                if error.fields.get("issue") != BUSY_ISSUE or time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(self._patience.first_poll_s)
            await self._settled(await self._configuration(), deadline)
        configuration = await self._settled(configuration, deadline)
        if state_of(configuration) is CloudState.FAILED:
            reason = reason_of(configuration) or "no reason given"
            raise CloudRefusedError(f"AWS could not {what}: {reason}", details=reason, issue=FAILED_ISSUE)

    async def _settled(self, configuration: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        """Wait until AWS is not at the function, or the deadline has passed; return its configuration then."""
        pause = self._patience.first_poll_s
        while is_busy(configuration) and (left := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, self._patience.longest_poll_s)
            configuration = await self._configuration()
        return configuration

    async def _configuration(self) -> Mapping[str, Any]:
        configuration: Mapping[str, Any] = (await self._read())["Configuration"]
        return configuration

    async def _read(self) -> Mapping[str, Any]:
        """
        Return the function with its tags; of this call alone AWS takes as many as we make.

        Raises:
            CloudDeniedError: also where our role may read the function and not its tags: it could not be told from
                that of somebody else.
        """
        answer: Mapping[str, Any] = await self._call(
            lambda aws: aws.get_function(FunctionName=self._name), "read the function", paced=False
        )
        if (hidden := answer.get("TagsError")) is not None:
            raise tags_hidden(hidden.get("Message", ""))
        return answer

    async def _call(
        self, request: Callable[[Any], Answer], what: str, *, deadline_s: float = _CALL_S, paced: bool = True
    ) -> Answer:
        return await self._sessions.call(
            self._connection,
            self._placement.region,
            request,
            what=what,
            role=self._role,
            deadline_s=deadline_s,
            paced=paced,
        )


def _permit(request: Mapping[str, object], aws: Any) -> None:
    aws.add_permission(**request)


def _forbid(request: Mapping[str, object], aws: Any) -> None:
    aws.remove_permission(**request)


def _parameters(values: Mapping[str, Any]) -> dict[str, object]:
    """Return AWS's parameters for values by our names."""
    return {name: value for ours, given in values.items() for name, value in _PARAMETERS[ours](given).items()}


def _told(error: PlatformError) -> dict[str, object]:
    return {"reason": error.message, "details": error.fields.get("details", "")}
