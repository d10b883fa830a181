"""
The queues and exchanges, as values. Names end in a version for humans; settings are the guarantees.

| name | kind | carries |
|---|---|---|
| ``tidemill.calls.v1`` | direct exchange | ``InvokeFunction`` to ``invoker.sync.v1`` |
| ``invoker.sync.v1`` | classic, transient, bounded, refuses when full | calls; gone with its last consumer |
| ``invoker.async.v1`` | quorum, delivery limit, dead-letter | ``RunExecution`` |
| ``deployer.v1`` | quorum, delivery limit, dead-letter | ``DeployFunction`` |
| ``tidemill.dead.v1`` | quorum | work that will not be tried again |
| ``tidemill.undecodable.v1`` | quorum, the newest 10,000 | what no consumer could read, and why |
| ``logger.v1`` | quorum, bounded by disk only | records |
| ``tidemill.notices.v1`` | topic exchange | notices, to one exclusive queue per replica |
"""

from dataclasses import dataclass

from shared.messages.messages import DeployFunction, RunExecution, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkQueue:
    """
    A queue of work.

    ``consumer_timeout_s`` is how long the broker waits for a disposition: it must outlive holding a message while
    the database is away (600 s), and then the lease of the longest run (900 s and 100 s more). After
    ``delivery_limit`` redeliveries a piece of work is dead-lettered.
    """

    name: str
    carries: type[Work]
    delivery_limit: int = 3
    consumer_timeout_s: int = 1800


SYNC_QUEUE = "invoker.sync.v1"
SYNC_QUEUE_LENGTH = 4_000
"""In AMQP messages, each of which may hold several calls."""
SYNC_QUEUE_BYTES = 256 * 1024 * 1024
SYNC_QUEUE_EXPIRES_MS = 10_000
CALLS_EXCHANGE = "tidemill.calls.v1"

ASYNC_QUEUE = WorkQueue(name="invoker.async.v1", carries=RunExecution)
DEPLOY_QUEUE = WorkQueue(name="deployer.v1", carries=DeployFunction)
WORK_QUEUES = (ASYNC_QUEUE, DEPLOY_QUEUE)

DEAD_LETTER_EXCHANGE = "tidemill.dead.v1"
DEAD_LETTER_QUEUE = "tidemill.dead.v1"
UNDECODABLE_QUEUE = "tidemill.undecodable.v1"

RECORDS_QUEUE = "logger.v1"
NOTICES_EXCHANGE = "tidemill.notices.v1"


def queue_of(work: Work) -> WorkQueue:
    """Return the queue a piece of work travels by."""
    return next(queue for queue in WORK_QUEUES if queue.carries is type(work))
