"""
What a reader of log lines does not get to see, and why: every line a run produced is shown or accounted for.

A run's record says how many lines were kept and how many were dropped beyond the bound of one run. Lines travel
to the database on their own and may come a moment after the record; those that are not there ``GRACE`` after the
end of the run are told of, too.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

GRACE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingLines:
    """How many lines of one run are not shown; ``at`` is the moment the note about it bears: after the last line."""

    at: datetime
    dropped: int = 0
    """Produced beyond the bound of one run, and never kept."""
    unstored: int = 0
    """Kept, but not in the database: lost on the way, or late."""
    unread: int = 0
    """In the database, beyond what is read at once."""

    @property
    def count(self) -> int:
        return self.dropped + self.unstored + self.unread

    @property
    def text(self) -> str:
        """Return the note: how many, and why."""
        reasons = (
            (self.dropped, "dropped beyond the limit of one run"),
            (self.unstored, "not stored, or not yet"),
            (self.unread, "beyond what is shown at once"),
        )
        return f"{self.count} more lines are not shown: " + ", ".join(f"{n} {why}" for n, why in reasons if n)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCounts:
    """
    Of the lines of one run: ``kept`` and ``dropped`` as its record says, ``stored`` in fact.

    ``shown`` are those the reader gets, and those they did not ask for.
    """

    kept: int
    dropped: int
    stored: int
    shown: int

    def missing(self, at: datetime, finished_at: datetime | None) -> MissingLines | None:
        """Return what is missing; None when nothing is. What is not stored counts once it has had its time."""
        settled = finished_at is not None and datetime.now(UTC) - finished_at > GRACE
        missing = MissingLines(
            at=at,
            dropped=self.dropped,
            unstored=max(0, self.kept - self.stored) if settled else 0,
            unread=max(0, self.stored - self.shown),
        )
        return missing if missing.count else None
