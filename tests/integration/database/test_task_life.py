"""Whatever happens to tasks in whatever order, the table holds what the table of legal moves says."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from shared.database import task_queue, tasks
from shared.database.pool import Database
from shared.database.tasks import DirectTask, NewTask, Retry, TaskSettlement
from shared.domain.ids import new_record_id
from shared.domain.states import TASK, advance
from tests.integration.database.world import FAILURE

ENVIRONMENT = "environment"
AT_ONCE = 3
T = TypeVar("T")


@dataclass
class Known:
    """What the model knows of a task."""

    status: str = "new"
    direct: bool = False
    ready: bool = True
    holder: str | None = None
    run_id: str = ""
    retried_by: str | None = None
    tries: tuple[str, ...] = ()

    def move(self, event: str) -> None:
        self.status = advance(TASK, self.status, event)


class Life(RuleBasedStateMachine):
    """Invokers ``a`` and ``b`` and an api ``c`` do what they may, and what they may not."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._db = self._do(Database.connect(self.url, max_size=1))
        self._do(self._db.execute("DELETE FROM tasks"))
        self._known: dict[str, Known] = {}

    ids = Bundle("ids")
    holders = st.sampled_from(["a", "b", "c"])

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    @rule(target=ids, priority=st.integers(-2, 2), later=st.booleans())
    def accept(self, priority: int, later: bool) -> str:
        now = self._do(self._db.fetchval("SELECT now()"))
        due_at = now + timedelta(days=1) if later else None
        task_id = new_record_id()
        new = NewTask(id=task_id, environment_id=ENVIRONMENT, function_name="f", priority=priority, due_at=due_at)
        self._do(tasks.accept(self._db, [new]))
        self._known[task_id] = Known(ready=not later)
        return task_id

    @rule(target=ids)
    def begin_direct(self) -> str:
        new = DirectTask(
            id=new_record_id(),
            environment_id=ENVIRONMENT,
            function_name="f",
            run_id=new_record_id(),
            holder="c",
            lease_s=60.0,
        )
        self._do(tasks.begin_direct(self._db, [new]))
        self._known[new.id] = Known(status="inProgress", direct=True, holder="c", run_id=new.run_id)
        return new.id

    @rule(holder=st.sampled_from(["a", "b"]), limit=st.integers(1, 4))
    def claim(self, holder: str, limit: int) -> None:
        running = sum(each.status == "inProgress" and not each.direct for each in self._known.values())
        waiting = sum(each.status == "new" and each.ready for each in self._known.values())
        claimed = self._do(task_queue.claim(self._db, holder=holder, lease_s=60.0, at_once=AT_ONCE, limit=limit))
        assert len(claimed) == max(min(limit, waiting, AT_ONCE - running), 0)
        for task in claimed:
            assert self._known[task.id].ready
            self._known[task.id].move("claimed")
            self._known[task.id].holder = holder
            self._known[task.id].run_id = str(task.run_id)

    @rule(task_id=ids)
    def become_due(self, task_id: str) -> None:
        self._do(self._db.execute("UPDATE tasks SET due_at = now() WHERE id = $1 AND status = 'new'", task_id))
        self._do(task_queue.make_ready(self._db))
        if self._known[task_id].status == "new":
            self._known[task_id].ready = True

    @rule(task_id=ids)
    def cancel(self, task_id: str) -> None:
        known = self._known[task_id]
        legal = (known.status, "cancelled") in TASK
        assert self._do(tasks.cancel(self._db, ENVIRONMENT, task_id)) == legal
        if legal:
            known.move("cancelled")

    @rule(target=ids, task_id=ids, holder=holders, event=st.sampled_from(["returned", "failed", "retried"]))
    def settle(self, task_id: str, holder: str, event: str) -> str:
        known = self._known[task_id]
        retry = Retry(id=new_record_id(), pause_s=3600.0) if event == "retried" else None
        end = TaskSettlement(id=task_id, holder=holder, failure=None if event == "returned" else FAILURE, retry=retry)
        [settled] = self._do(tasks.settle(self._db, [end]))
        legal = known.status == "inProgress" and known.holder == holder
        assert (settled is not None) == legal
        if not legal:
            return task_id
        known.move(event)
        if retry is None:
            return task_id
        known.retried_by = retry.id
        self._known[retry.id] = Known(ready=False, tries=(*known.tries, task_id))
        return retry.id

    @rule(task_id=ids, holder=holders)
    def release(self, task_id: str, holder: str) -> None:
        known = self._known[task_id]
        legal = known.status == "inProgress" and known.holder == holder and not known.direct
        assert self._do(task_queue.release(self._db, holder, [known.run_id])) == ([task_id] if legal else [])
        if legal:
            known.move("released")
            known.holder = None
            known.run_id = ""

    @rule(task_id=consumes(ids))
    def lose_the_lease(self, task_id: str) -> None:
        known = self._known[task_id]
        past = "UPDATE tasks SET lease_until = now() - interval '1 s' WHERE id = $1 AND status = 'inProgress'"
        self._do(self._db.execute(past, task_id))
        lost = self._do(task_queue.interrupt_lost(self._db))
        assert lost == ([task_id] if known.status == "inProgress" else [])
        if lost:
            known.move("interrupted")

    @invariant()
    def the_table_is_what_the_model_says(self) -> None:
        rows = self._do(self._db.fetch("SELECT * FROM tasks"))
        found = {
            row["id"]: Known(
                status=row["status"],
                direct=row["direct"],
                ready=row["ready"],
                holder=row["lease_holder"],
                run_id=row["run_id"] or "",
                retried_by=row["retried_by"],
                tries=tuple(row["retry_for"]),
            )
            for row in rows
        }
        assert found == self._known
        for row in rows:
            assert (row["finished_at"] is None) == (row["status"] in {"new", "inProgress"})
            assert (row["lease_until"] is None) == (row["status"] != "inProgress")

    def teardown(self) -> None:
        self._do(self._db.close())
        self._runner.close()


def test_a_task_lives_only_as_it_may(database_url: str) -> None:
    class Here(Life):
        url = database_url

    run_state_machine_as_test(Here, settings=settings(max_examples=30, stateful_step_count=50, deadline=None))
