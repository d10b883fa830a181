"""
A lane for each function: how many of its accepted executions one invoker runs at once.

Without lanes a backlog of one slow function would hold every place an invoker has, and the others would starve
behind it. A lane as wide as the function's workers lets quick ones through as fast as they come: the next in
line waits a moment for a place. When that moment passes, the lane is jammed: whoever comes now is told at once
that there is no place, until one becomes free, and its execution is put off.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Lane:
    running: int = 0
    jammed: bool = False
    waiting: "deque[asyncio.Future[None]]" = field(default_factory=deque)


class Lanes:
    """The lanes of one invoker, each ``width`` wide; a place is waited for at most ``patience_s``."""

    def __init__(self, *, width: int, patience_s: float) -> None:
        self._width = width
        self._patience_s = patience_s
        self._lanes: dict[str, _Lane] = {}

    def is_jammed(self, function_id: str) -> bool:
        """Tell whether there is no place in a function's lane and none will be soon."""
        lane = self._lanes.get(function_id)
        return lane is not None and lane.jammed

    async def enter(self, function_id: str) -> bool:
        """Take a place in a function's lane; False when there is none and none will be soon."""
        lane = self._lanes.setdefault(function_id, _Lane())
        if lane.running < self._width:
            lane.running += 1
            return True
        if lane.jammed:
            return False
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.waiting.append(place)
        try:
            async with asyncio.timeout(self._patience_s):
                await place
        except TimeoutError:
            lane.jammed = True
            return False
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave(function_id)
            raise
        finally:
            if place in lane.waiting:
                lane.waiting.remove(place)
        return True

    def leave(self, function_id: str) -> None:
        """Give a place back: to whoever waits longest, else to nobody."""
        lane = self._lanes[function_id]
        lane.jammed = False
        while lane.waiting:
            place = lane.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        lane.running -= 1
        if lane.running == 0:
            del self._lanes[function_id]
