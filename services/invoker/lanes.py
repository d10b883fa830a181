"""
A lane for each function: how many of its accepted executions one invoker runs at once.

Without lanes a backlog of one slow function would hold every place an invoker has, and the others would starve
behind it. A lane as wide as the function's workers lets quick ones through as fast as they come: whoever finds
it full waits for as long as it moves, but never longer than ``wait_s``: its lease runs. A lane in which nothing has
ended for ``patience_s`` is jammed: those who wait and whoever comes are told that there is no place, until a run
ends, and their executions are put off.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Lane:
    moved_at: float
    running: int = 0
    jammed: bool = False
    waiting: "deque[asyncio.Future[None]]" = field(default_factory=deque)


class Lanes:
    """The lanes of one invoker, each ``width`` wide. ``now`` gives seconds of a steady clock."""

    def __init__(
        self, *, width: int, patience_s: float, wait_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._width = width
        self._patience_s = patience_s
        self._wait_s = wait_s
        self._now = now
        self._lanes: dict[str, _Lane] = {}

    def is_jammed(self, function_id: str) -> bool:
        """Tell whether there is no place in a function's lane and none will be soon."""
        lane = self._lanes.get(function_id)
        return lane is not None and lane.jammed

    async def enter(self, function_id: str) -> bool:
        """Take a place in a function's lane; False when there is none and none will be soon."""
        lane = self._lanes.get(function_id)
        if lane is None:
            lane = self._lanes[function_id] = _Lane(self._now())
        if lane.running < self._width:
            lane.running += 1
            lane.moved_at = self._now()
            return True
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.waiting.append(place)
        try:
            return await self._given(lane, place)
        except asyncio.CancelledError:
            if place.done():
                self.leave(function_id)
            raise
        finally:
            if place in lane.waiting:
                lane.waiting.remove(place)

    async def _given(self, lane: _Lane, place: "asyncio.Future[None]") -> bool:
        """Wait for a place for as long as the lane moves, within the bound."""
        give_up_at = self._now() + self._wait_s
        while not place.done():
            patience_s = lane.moved_at + self._patience_s - self._now()
            left_s = give_up_at - self._now()
            if patience_s <= 0:
                lane.jammed = True
            if patience_s <= 0 or left_s <= 0:
                return False
            await asyncio.wait({place}, timeout=min(patience_s, left_s))
        return True

    def leave(self, function_id: str) -> None:
        """Give a place back: to whoever waits longest, else to nobody."""
        lane = self._lanes[function_id]
        lane.jammed = False
        lane.moved_at = self._now()
        if lane.waiting:
            lane.waiting.popleft().set_result(None)
            return
        lane.running -= 1
        if lane.running == 0:
            del self._lanes[function_id]
