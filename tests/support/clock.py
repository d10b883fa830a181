"""A clock that moves only when told to, for code that takes its time from a parameter."""

from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeClock:
    """``clock()`` is wall time as an aware ``datetime``; ``clock.monotonic()`` is seconds from an arbitrary start."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._passed_s = 0.0

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def advance(self, seconds: float) -> None:
        """Let time pass. It never goes back."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._passed_s += seconds
