"""
Tasks that run while their caller waits: kept when they begin, settled when they end, so many at once.

The api that took the call holds the task's lease and settles it from the invoker's reply. The lease outlives the
run and the settling; what an api that went away leaves behind is ended by the keeper of an invoker.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.database import tasks
from shared.database.group_commit import GroupCommit
from shared.database.pool import Database
from shared.database.tasks import DirectTask, TaskSettlement
from shared.domain.errors import TooManyExecutionsError
from shared.domain.identity import Identity
from shared.domain.ids import new_record_id
from shared.domain.task import Task
from shared.messages.messages import InvocationReply

SETTLE_S = 30.0
"""How much longer than its run a task's lease lasts."""


class DirectExecutions:
    """The direct executions of one api, known as ``holder``: at most ``most`` at once."""

    def __init__(self, db: Database, holder: str, most: int) -> None:
        self._holder = holder
        self._most = most
        self._running = 0
        self._begun: GroupCommit[DirectTask, Task] = GroupCommit(lambda rows: tasks.begin_direct(db, rows))
        self._ended: GroupCommit[TaskSettlement, Task | None] = GroupCommit(lambda rows: tasks.settle(db, rows))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places; raise ``TooManyExecutionsError`` at once when there is none."""
        if self._running >= self._most:
            raise TooManyExecutionsError("too many direct executions at once", limit=self._most)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def begin(
        self, environment_id: str, function_name: str, data: bytes | None, caller: Identity | None, *, run_s: float
    ) -> Task:
        """Keep a task that is in progress from now on; its run takes at most ``run_s``. Raises ``UnavailableError``."""
        return await self._begun.submit(
            DirectTask(
                id=new_record_id(),
                environment_id=environment_id,
                function_name=function_name,
                run_id=new_record_id(),
                holder=self._holder,
                lease_s=run_s + SETTLE_S,
                data=data,
                created_by_user=None if caller is None else caller.user_id,
                created_by_application=None if caller is None else caller.application_id,
            )
        )

    async def end(self, task: Task, reply: InvocationReply) -> Task | None:
        """
        Settle a task as the reply tells; return it as it is now, None when its lease was lost meanwhile.

        Raises ``UnavailableError``.
        """
        return await self._ended.submit(
            TaskSettlement(
                id=task.id,
                holder=self._holder,
                failure=reply.failure,
                duration_ms=reply.duration_ms,
                log_lines=reply.log_lines,
                dropped_log_lines=reply.dropped_log_lines,
            )
        )

    async def close(self) -> None:
        """Take no more; what is in progress is left to the keeper."""
        await self._begun.close()
        await self._ended.close()
