import itertools

import pytest

from services.invoker.sandbox.states import (
    TRANSITIONS,
    IllegalWorkerEventError,
    WorkerEvent,
    WorkerState,
    advance,
)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(WorkerState, WorkerEvent)))
def test_every_event_in_every_state_is_in_the_table_or_refused(state: WorkerState, event: WorkerEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert TRANSITIONS[state, event] == advance(state, event)
    else:
        with pytest.raises(IllegalWorkerEventError):
            advance(state, event)


def test_gone_is_the_only_end() -> None:
    terminal = set(WorkerState) - {state for state, _ in TRANSITIONS}

    assert {WorkerState.GONE} == terminal


def test_a_process_can_be_gone_from_any_state() -> None:
    for state in set(WorkerState) - {WorkerState.GONE}:
        assert advance(state, WorkerEvent.EXITED) is WorkerState.GONE


def test_an_ending_worker_does_nothing_more() -> None:
    assert {WorkerEvent.EXITED} == {event for state, event in TRANSITIONS if state is WorkerState.ENDING}
