"""
The providers by name, each made when the first function asks for it.

A cloud's library is tens of megabytes that nobody without functions there should pay for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from services.deployer.providers.provider import Provider
from shared.domain.errors import InternalError
from shared.domain.placement import LOCAL, Placement

Maker = Callable[[AsyncExitStack], Awaitable[Provider]]
"""Makes a provider; what it must close in the end it puts on the stack."""


class Providers:
    """Use it as an async context manager; leaving it closes what was made."""

    def __init__(self, makers: Mapping[str, Maker]) -> None:
        self._makers = makers
        self._made: dict[str, Provider] = {}
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def of(self, placement: Placement | None) -> Provider:
        """
        Return the provider of a place; without one it is our own machines.

        Raises:
            InternalError: this deployer does not know the provider.
        """
        name = LOCAL if placement is None else placement.provider
        async with self._lock:
            if name not in self._made:
                if name not in self._makers:
                    raise InternalError(f"no provider is called {name}")
                self._made[name] = await self._makers[name](self._stack)
        return self._made[name]
