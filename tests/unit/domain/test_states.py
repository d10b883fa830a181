import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.states_page import PAGE, states_page
from shared.domain.states import (
    DEPLOYMENT,
    EXECUTION,
    FUNCTION,
    TASK,
    IllegalTransitionError,
    Table,
    advance,
    sources,
    terminal,
)

TABLES = {"EXECUTION": EXECUTION, "FUNCTION": FUNCTION, "DEPLOYMENT": DEPLOYMENT, "TASK": TASK}
FIRST = {"EXECUTION": "queued", "FUNCTION": "creating", "DEPLOYMENT": "pending", "TASK": "new"}


def all_states(table: Table) -> list[str]:
    return sorted({state for state, _ in table} | set(table.values()))


def all_events(table: Table) -> list[str]:
    return sorted({event for _, event in table})


@pytest.mark.parametrize(
    ("table", "state", "event"),
    [
        pytest.param(table, state, event, id=f"{name}-{state}-{event}")
        for name, table in TABLES.items()
        for state in all_states(table)
        for event in all_events(table)
    ],
)
def test_each_event_in_each_state_is_legal_or_refused(table: Table, state: str, event: str) -> None:
    if (state, event) in table:
        assert advance(table, state, event) == table[state, event]
        assert state in sources(table, event)
    else:
        with pytest.raises(IllegalTransitionError):
            advance(table, state, event)
        assert state not in sources(table, event)


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("EXECUTION", {"completed", "failed", "cancelled"}),
        ("FUNCTION", {"deleted"}),
        ("DEPLOYMENT", {"succeeded", "refused", "cancelled"}),
        ("TASK", {"complete", "failed", "retried", "canceled"}),
    ],
)
def test_nothing_leads_out_of_an_end(name: str, ends: set[str]) -> None:
    assert terminal(TABLES[name]) == ends


def test_the_page_of_states_is_the_one_these_tables_make() -> None:
    assert PAGE.read_text("utf-8") == states_page(), "run: python -m services.states_page"


class Life(RuleBasedStateMachine):
    """Any machine of the three, pushed by any events in any order."""

    @initialize(name=st.sampled_from(sorted(TABLES)))
    def begin(self, name: str) -> None:
        self.table = TABLES[name]
        self.state = FIRST[name]
        self.visited = [self.state]

    @rule(data=st.data())
    def push(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(all_events(self.table)))
        try:
            self.state = advance(self.table, self.state, event)
        except IllegalTransitionError:
            assert (self.state, event) not in self.table
            return
        self.visited.append(self.state)

    @precondition(lambda self: self.state not in terminal(self.table))
    @rule()
    def an_end_can_be_reached(self) -> None:
        reached, frontier = {self.state}, {self.state}
        while frontier:
            frontier = {to for (state, _), to in self.table.items() if state in frontier} - reached
            reached |= frontier
        assert reached & terminal(self.table)

    @invariant()
    def an_end_is_entered_once(self) -> None:
        if hasattr(self, "visited"):
            assert sum(state in terminal(self.table) for state in self.visited) <= 1
            assert all(state in all_states(self.table) for state in self.visited)


TestLife = Life.TestCase
