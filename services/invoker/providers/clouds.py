"""
Functions that run at a cloud: which cloud, and where there.

Where a function is never changes and is remembered, so that a call costs no query. The
library of a cloud is loaded when the first function there is called.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

from shared.database import placements
from shared.database.pool import Database
from shared.domain.errors import InternalError
from shared.domain.function import Function
from shared.domain.outcome import Report
from shared.domain.placement import Placement

GRACE_S = 15.0
"""A cloud's own time limit comes first: it begins when the function does, after this much of a start at most."""

_MOST_KEPT = 10_000


class Runner(Protocol):
    """Runs functions at one cloud; raises as ``AwsRunner.run`` does."""

    async def run(self, function: Function, placement: Placement, event: bytes, *, limit_s: float) -> Report:
        """Run a function once and report."""


Maker = Callable[[AsyncExitStack], Awaitable[Runner]]
"""Makes a runner; what it must close in the end it puts on the stack."""


class Clouds:
    """All clouds of an invoker, by provider. Use it as an async context manager; leaving it closes what was made."""

    def __init__(self, db: Database, makers: Mapping[str, Maker]) -> None:
        self._db = db
        self._makers = makers
        self._made: dict[str, Runner] = {}
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._kept: OrderedDict[str, Placement] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, function: Function, event: bytes, *, deadline_s: float, wait_s: float | None) -> Report:
        """
        Run a function once; the bounds are those of ``Invoker.run``.

        Raises:
            PlatformError: it was not begun.
        """
        own_s = function.version.spec.timeout_s + GRACE_S
        placement = await self._placement(function)
        runner = await self._runner(placement.provider)
        return await runner.run(
            function, placement, event, limit_s=own_s if wait_s is not None else min(deadline_s, own_s)
        )

    async def _placement(self, function: Function) -> Placement:
        kept = self._kept.get(function.id)
        if kept is not None:
            self._kept.move_to_end(function.id)
            return kept
        placed = await placements.find_placed(self._db, function.id)
        if placed is None:
            raise InternalError("a function at a cloud has no place there", function_id=function.id)
        self._kept[function.id] = placed.placement
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return placed.placement

    async def _runner(self, provider: str) -> Runner:
        async with self._lock:
            if provider not in self._made:
                if provider not in self._makers:
                    raise InternalError(f"no provider is called {provider}")
                self._made[provider] = await self._makers[provider](self._stack)
        return self._made[provider]
