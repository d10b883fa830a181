"""
This machine: a package is deployed when the package store holds it.

Invokers fetch packages by digest and keep them unpacked, so there is nothing else to bring anywhere.
"""

from collections.abc import Sequence

from services.deployer.providers.provider import Desired, Observed, ProviderStep, Seen, StorePackage
from shared.domain.errors import InternalError
from shared.domain.placement import Placement
from shared.packages.store import PackageStore


class LocalProvider:
    """The ``Provider`` of functions that run on the invokers' own machines."""

    def __init__(self, packages: PackageStore) -> None:
        self._packages = packages

    async def observe(self, desired: Desired) -> Seen:
        return Seen(stored=await self._packages.renew(desired.package_sha256))

    def plan(self, desired: Desired, observed: Observed) -> tuple[StorePackage, ...]:
        if observed.stored:
            return ()
        if desired.content is None:
            raise InternalError("the uploaded package is not in the package store", sha256=desired.package_sha256)
        return (StorePackage(sha256=desired.package_sha256, size_bytes=len(desired.content)),)

    async def execute(self, step: ProviderStep, desired: Desired) -> None:
        assert isinstance(step, StorePackage), step
        assert desired.content is not None, step
        await self._packages.put(desired.content)

    async def revert(self, begun: Sequence[ProviderStep], desired: Desired) -> None:
        """A package that nothing names is swept up after a while (``sweep.py``)."""

    async def look(self, placement: Placement) -> None:
        """There is no cloud to ask."""

    async def remove(self, placement: Placement) -> None:
        """The invokers hear that the function is deleted."""
