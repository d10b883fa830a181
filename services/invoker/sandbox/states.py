"""
The life of a worker, as a table.

::

    starting ─▶ blank ─▶ loading ─▶ idle ⇄ busy ─▶ resting ─▶ idle
        └─────────┴─────────┴────────┴──────┴─────────┴──▶ ending ─▶ gone

A worker that is ending answers nobody; one that is gone has left nothing, and its slot may be used again.
"""

from collections.abc import Mapping
from enum import StrEnum


class WorkerState(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    BLANK = "blank"
    """A stem cell: the runtime is up, it has no function."""
    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    RESTING = "resting"
    """It has answered, and makes itself ready for the next run: a Neo function's worker does."""
    ENDING = "ending"
    GONE = "gone"


class WorkerEvent(StrEnum):
    """What happens to a worker."""

    HELLO = "hello"
    LOAD = "load"
    LOADED = "loaded"
    RUN = "run"
    ANSWERED = "answered"
    ENDED_RUN = "ended_run"
    END = "end"
    EXITED = "exited"


class KillReason(StrEnum):
    """Why we ended a worker; ``exited`` and ``failed`` are those that ended without us."""

    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    RESTLESS = "restless"
    """What it had been doing went on after the answer."""
    PROTOCOL = "protocol"
    RETIRED = "retired"
    """Close to its memory limit between calls."""
    EVICTED = "evicted"
    IDLE = "idle"
    STALE = "stale"
    """Of a version that has been replaced or deleted."""
    ABANDONED = "abandoned"
    """Its caller went away in the middle of the run."""
    NOT_STARTED = "not_started"
    CLOSED = "closed"
    EXITED = "exited"


class IllegalWorkerEventError(Exception):
    """An event that cannot happen in a worker's state: a bug of ours."""


_S, _E = WorkerState, WorkerEvent

TRANSITIONS: Mapping[tuple[WorkerState, WorkerEvent], WorkerState] = {
    (_S.STARTING, _E.HELLO): _S.BLANK,
    (_S.BLANK, _E.LOAD): _S.LOADING,
    (_S.LOADING, _E.LOADED): _S.IDLE,
    (_S.IDLE, _E.RUN): _S.BUSY,
    (_S.BUSY, _E.ENDED_RUN): _S.IDLE,
    (_S.BUSY, _E.ANSWERED): _S.RESTING,
    (_S.RESTING, _E.ENDED_RUN): _S.IDLE,
    **{(state, _E.END): _S.ENDING for state in _S if state not in {_S.ENDING, _S.GONE}},
    **{(state, _E.EXITED): _S.GONE for state in _S if state is not _S.GONE},
}


def advance(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """
    Return the state that follows.

    Raises:
        IllegalWorkerEventError: the event cannot happen in this state.
    """
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise IllegalWorkerEventError(f"{event} in state {state}")
    return following
