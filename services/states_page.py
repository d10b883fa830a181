"""
The page made from the tables of states, ``docs/states.md``: ``python -m services.states_page`` writes it.

A test compares the two, so that the page cannot say anything else than what the code does.
"""

from pathlib import Path

from services.invoker.sandbox.states import TRANSITIONS
from shared.domain.states import DEPLOYMENT, EXECUTION, FUNCTION, TASK, Table, terminal

PAGE = Path(__file__).parents[1] / "docs" / "states.md"

_HEAD = """\
# States

Made by `python -m services.states_page` from `shared/domain/states.py` and `services/invoker/sandbox/states.py`; a test
compares them.

A move that is not drawn is refused: `advance` raises, and each UPDATE of a row names the states it is legal from, so
that it changes no row in any other. States nothing leads out of are ends; they are derived from the table.
"""

_MACHINES: tuple[tuple[str, str, str, Table], ...] = (
    (
        "Execution",
        "queued",
        (
            "One run. `refused`: it could not be started (its function is gone or disabled, or its command was "
            "given up). `interrupted`: its lease ran out or its invoker fell silent; it is never started again."
        ),
        EXECUTION,
    ),
    (
        "Task",
        "new",
        (
            "One planned run, in the words of the Extra Horizon dialect. `retried`: it failed and a new task takes its "
            "place. `interrupted`: as with executions."
        ),
        TASK,
    ),
    (
        "Function",
        "creating",
        (
            "The deployment status. A function whose creation is refused leaves no row; a refused change leaves it "
            "active, exactly as it was."
        ),
        FUNCTION,
    ),
    (
        "Deployment",
        "pending",
        "One asked-for change. `running` to `running`: what a dead deployer began is taken up by another.",
        DEPLOYMENT,
    ),
    (
        "Worker",
        "starting",
        (
            "One sandboxed process; `blank` is a stem cell, which has no function yet. It lives in its invoker's "
            "memory alone: an `ending` worker answers nobody, a `gone` one has left nothing."
        ),
        {(state.value, event.value): to.value for (state, event), to in TRANSITIONS.items()},
    ),
)


def states_page() -> str:
    """Return the text of ``docs/states.md``."""
    return "\n".join([_HEAD, *(_section(*machine) for machine in _MACHINES)])


def _section(title: str, first: str, text: str, table: Table) -> str:
    moves = [f"    {state} --> {to}: {event}" for (state, event), to in table.items()]
    ends = [f"    {state} --> [*]" for state in sorted(terminal(table))]
    diagram = "\n".join([f"    [*] --> {first}", *moves, *ends])
    rows = "\n".join(f"| {state} | {event} | {to} |" for (state, event), to in table.items())
    return f"""\
## {title}

{text}

```mermaid
stateDiagram-v2
{diagram}
```

| from | event | to |
|---|---|---|
{rows}
"""


if __name__ == "__main__":
    PAGE.write_text(states_page(), "utf-8")
