"""
What a provider is to the deployer, and the values they speak in.

A deployment is planned before it is carried out: *desired* is what the row asks for, *observed* is what is there,
the *plan* is the list of steps between the two. Steps are data: they can be logged, printed and compared, and carrying
one out twice does no harm, so a plan that was cut off is simply made again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.function import VersionSpec
from shared.domain.placement import CloudFunction, Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """
    What shall run. ``package_sha256`` is known before anything is done: packages are built deterministically.

    ``content`` is the package itself where the deployer built it; an uploaded one is in the package store.
    ``placement`` says where at a cloud; there is none for the invokers' own machines.
    """

    function_id: str
    spec: VersionSpec
    package_sha256: str
    uploaded: bool = False
    source: str | None = None
    content: bytes | None = None
    description: str = ""
    placement: Placement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What a provider has.

    ``stored``: the desired package is in the package store. ``cloud``: the function as its cloud describes it now.
    """

    stored: bool
    cloud: CloudFunction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    What is there.

    ``active_sha256`` and ``active_runtime`` are of the version that runs now; the rest is as ``Seen``.
    """

    active_sha256: str | None
    stored: bool
    active_runtime: str | None = None
    cloud: CloudFunction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatePackage:
    """Judge an uploaded package by the rules of packages."""

    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindProgram:
    """See whether a package holds the program its runtime starts."""

    sha256: str
    runtime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSyntax:
    """See whether source compiles on its runtime, without running it."""

    runtime: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePackage:
    """Put a built package where invokers fetch it by its digest."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFunction:
    """Make the function at its cloud, with its package."""

    region: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUrl:
    """Give the function an address that anybody may call. Where that fails the function goes without."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateConfiguration:
    """Change the configuration at the cloud: fields of ``VersionSpec`` and ``description``; ``before`` undoes it."""

    name: str
    after: Mapping[str, object] = field(repr=False)
    before: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCode:
    """Put a package in the place of the one at the cloud; the two of ``before`` undo it."""

    name: str
    sha256: str
    architecture: str
    sha256_before: str = ""
    architecture_before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateVersion:
    """Make a version of this package the one that runs."""

    package_sha256: str


ProviderStep = StorePackage | CreateFunction | OpenUrl | UpdateConfiguration | UpdateCode
Step = ValidatePackage | FindProgram | CheckSyntax | ProviderStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What is to be done, in order; then, in the transaction that ends the deployment, the activation.

    A step that fails leaves the function as it was.
    """

    steps: tuple[Step, ...]
    activation: ActivateVersion


class Provider(Protocol):
    """Brings packages to where they run. It judges none and activates none: the deployer does."""

    async def observe(self, desired: Desired) -> Seen:
        """Tell what is deployed already. Raises ``PlatformError``."""

    def plan(self, desired: Desired, observed: Observed) -> tuple[ProviderStep, ...]:
        """Return what is to be done here before a version can be activated; touches nothing."""

    async def execute(self, step: ProviderStep, desired: Desired) -> None:
        """Carry out one step. Raises ``PlatformError``."""

    async def revert(self, begun: Sequence[ProviderStep], desired: Desired) -> None:
        """Undo the steps that were begun, the last of which may have done nothing. Raises ``PlatformError``."""

    async def look(self, placement: Placement) -> CloudFunction | None:
        """Return what is there now; None: nothing, or there is no cloud to ask. Raises ``PlatformError``."""

    async def remove(self, placement: Placement) -> None:
        """Take a function away; one that is gone already, or is not ours, is well. Raises ``PlatformError``."""
