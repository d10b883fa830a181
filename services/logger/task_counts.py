"""How many tasks wait and run, as metrics: whether those that may run at once are enough."""

from shared.database import task_queue
from shared.database.pool import Database
from shared.process import metrics

_tasks = metrics.gauge(
    "tasks", "Queued tasks whose time has come: those that wait for their turn, and in progress.", ("state",)
)
_waited = metrics.gauge("tasks_waiting_seconds", "For how long the one of them has waited that has waited longest.")


async def export(db: Database) -> None:
    """Count once and set the metrics."""
    load = await task_queue.load(db)
    _tasks.labels("waiting").set(load.waiting)
    _tasks.labels("in_progress").set(load.in_progress)
    _waited.set(load.waited_s)
