"""
The state machines, as tables: ``{(state, event): next state}``; a pair that is absent is illegal.

The same tables guard the UPDATE statements: ``sources`` lists the states a row may be in for a move to be
legal, so the code and the database cannot disagree. Terminal states are derived, never listed.
"""

from collections.abc import Mapping

Table = Mapping[tuple[str, str], str]

EXECUTION: Table = {
    ("queued", "claimed"): "running",
    ("queued", "cancelled"): "cancelled",
    ("queued", "refused"): "failed",
    ("running", "returned"): "completed",
    ("running", "failed"): "failed",
    ("running", "interrupted"): "failed",
    ("running", "reclaimed"): "running",
    ("running", "released"): "queued",
}
"""
``refused``: it could not be started (function gone or disabled, dead letter). ``reclaimed``: its holder takes up a
claim whose answer was lost. ``released``: its holder found no worker for it; the event reached none.
"""

TASK: Table = {
    ("new", "claimed"): "inProgress",
    ("new", "cancelled"): "canceled",
    ("inProgress", "returned"): "complete",
    ("inProgress", "failed"): "failed",
    ("inProgress", "retried"): "retried",
    ("inProgress", "interrupted"): "failed",
    ("inProgress", "released"): "new",
}
"""Tasks in their published words. ``retried``: it failed and a new task takes its place. ``released``: as above."""

FUNCTION: Table = {
    ("creating", "deployed"): "active",
    ("creating", "deployment_failed"): "failed",
    ("active", "change_asked"): "updating",
    ("failed", "change_asked"): "updating",
    ("updating", "deployed"): "active",
    ("updating", "change_refused"): "active",
    ("updating", "deployment_failed"): "failed",
    ("creating", "deleted"): "deleted",
    ("active", "deleted"): "deleted",
    ("updating", "deleted"): "deleted",
    ("failed", "deleted"): "deleted",
}

DEPLOYMENT: Table = {
    ("pending", "started"): "running",
    ("running", "started"): "running",
    ("running", "succeeded"): "succeeded",
    ("running", "refused"): "refused",
    ("pending", "cancelled"): "cancelled",
}
"""``running -> running``: a killed deployer's work is taken up by another."""


class IllegalTransitionError(Exception):
    """The event is not legal in that state: a bug or a lost race, never a caller's mistake."""


def advance(table: Table, state: str, event: str) -> str:
    """Return the state after ``event``; raise ``IllegalTransitionError`` if it is not legal."""
    try:
        return table[state, event]
    except KeyError:
        raise IllegalTransitionError(f"{event} in state {state}") from None


def sources(table: Table, event: str) -> list[str]:
    """Return the states in which ``event`` is legal: the guard of an UPDATE."""
    return sorted({state for state, known in table if known == event})


def terminal(table: Table) -> frozenset[str]:
    """Return the states nothing leads out of."""
    return frozenset(table.values()) - {state for state, _ in table}
