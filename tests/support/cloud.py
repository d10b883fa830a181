"""What tests of functions at AWS stand on: packages in memory, and a function brought there as the deployer does it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.deployer.providers.aws import AwsProvider
from services.deployer.providers.provider import Desired, Observed, ProviderStep
from shared.cloud.aws.functions import Patience
from shared.cloud.aws.sessions import AwsConnection, AwsSessions
from shared.domain.errors import PlatformError
from shared.domain.function import Convention, VersionSpec
from shared.domain.placement import AWS, CloudFunction, Placement
from shared.packages.package import build_package
from shared.packages.store import digest, no_package

PATIENCE = Patience(settle_s=2.0, first_poll_s=0.01, longest_poll_s=0.02, role_wait_s=0.2, role_pause_s=0.01)
SPEC = VersionSpec(
    runtime="python3.12",
    convention=Convention.LAMBDA,
    handler="lambda_function.lambda_handler",
    timeout_s=30,
    memory_mb=128,
    environment={"MODE": "live"},
    architecture="arm64",
)
CODE = "def lambda_handler(event, context):\n    return event\n"


class Packages:
    """A package store in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def put(self, content: bytes) -> str:
        sha256 = await digest(content)
        self._kept[sha256] = content
        return sha256

    async def get(self, sha256: str) -> bytes:
        if sha256 not in self._kept:
            raise no_package(sha256)
        return self._kept[sha256]

    async def renew(self, sha256: str) -> bool:
        return sha256 in self._kept

    async def delete(self, sha256: str) -> None:
        del self._kept[sha256]


@dataclass(slots=True)
class Ground:
    """One connection into one account, and what deploys there. ``active`` is the package that runs, if one does."""

    sessions: AwsSessions
    connection: AwsConnection
    provider: AwsProvider
    packages: Packages
    active: str | None = None

    @classmethod
    def make(
        cls,
        sessions: AwsSessions,
        connection: AwsConnection,
        *,
        execution_role: str | None = None,
        patience: Patience = PATIENCE,
    ) -> "Ground":
        async def opened(connection_id: str) -> AwsConnection:
            assert connection_id == connection.id
            return connection

        packages = Packages()
        provider = AwsProvider(sessions, packages, opened, execution_role=execution_role, patience=patience)
        return cls(sessions, connection, provider, packages)

    def placement(self, name: str = "thumbs", function_id: str = "fn_1") -> Placement:
        return Placement(
            function_id=function_id,
            provider=AWS,
            connection_id=self.connection.id,
            account_id=self.connection.account_id,
            region="eu-west-1",
            name=name,
            labels={"gateways:project": "shop", "gateways:environment": "master"},
        )

    async def desired(self, spec: VersionSpec = SPEC, files: Mapping[str, str] | None = None, **placed: str) -> Desired:
        content = build_package({path: text.encode() for path, text in (files or {"lambda_function.py": CODE}).items()})
        placement = self.placement(**placed)
        return Desired(
            function_id=placement.function_id,
            spec=spec,
            package_sha256=await digest(content),
            content=content,
            placement=placement,
            description="makes thumbnails",
        )

    async def deploy(self, desired: Desired) -> list[ProviderStep]:
        """Bring a function to what is desired as the deployer does; return the steps carried out."""
        seen = await self.provider.observe(desired)
        observed = Observed(active_sha256=self.active, stored=seen.stored, cloud=seen.cloud)
        done: list[ProviderStep] = []
        try:
            for step in self.provider.plan(desired, observed):
                await self.provider.execute(step, desired)
                done.append(step)
        except PlatformError:
            await self.provider.revert(done, desired)
            raise
        self.active = desired.package_sha256
        return done

    async def seen(self, desired: Desired) -> CloudFunction:
        found = (await self.provider.observe(desired)).cloud
        assert found is not None
        return found


def changed(desired: Desired, **spec: object) -> Desired:
    """Return the same with another configuration."""
    return replace(desired, spec=replace(desired.spec, **spec))  # type: ignore[arg-type]  # fields by name
