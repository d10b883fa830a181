"""
The topology as RabbitMQ is told it: the guarantees of ``shared.messages.topology`` as queue arguments.

Declaring is idempotent and done by every replica, at each connect and whenever a queue turns out to be gone.

Arguments chosen with care:

- Queues of work dead-letter ``at-least-once`` (which asks for ``reject-publish``), so that no piece of work is lost
  between its queue and ``tidemill.dead.v1``. RabbitMQ 4 counts to 20 deliveries where nothing is said, then drops:
  queues whose messages must stay say a limit no one reaches.
- The queue of calls is auto-delete: it exists only while an invoker consumes it, so a call with no invoker there
  comes back as unroutable within a round trip. It is durable because RabbitMQ 4 deprecates queues that are neither
  durable nor exclusive, and expires because a durable one would be back, with no consumer, after a broker restart;
  its messages are transient all the same. When it is full, the call is refused (nack), not another one dropped.
"""

from typing import Any, Final

from aio_pika.abc import AbstractChannel, AbstractQueue

from shared.messages import topology
from shared.messages.topology import WorkQueue

DECLARE_S: Final = 10.0
DEAD_WORK_KEY: Final = "work"
UNDECODABLE_KEY: Final = "undecodable"
_UNDECODABLE_KEPT: Final = 10_000
_NEVER: Final = 1_000_000


async def declare_all(channel: AbstractChannel) -> None:
    """Declare what every replica needs to be there: all but the queue of calls, which comes with an invoker."""
    for exchange, kind in (
        (topology.CALLS_EXCHANGE, "direct"),
        (topology.DEAD_LETTER_EXCHANGE, "direct"),
        (topology.NOTICES_EXCHANGE, "topic"),
    ):
        await channel.declare_exchange(exchange, kind, durable=True, timeout=DECLARE_S)
    for queue in topology.WORK_QUEUES:
        await declare_work(channel, queue)
    await declare_dead(channel)
    await declare_records(channel)


async def declare_work(channel: AbstractChannel, queue: WorkQueue) -> AbstractQueue:
    """Declare one queue of work."""
    arguments = {
        "x-delivery-limit": queue.delivery_limit,
        "x-dead-letter-exchange": topology.DEAD_LETTER_EXCHANGE,
        "x-dead-letter-routing-key": DEAD_WORK_KEY,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-consumer-timeout": queue.consumer_timeout_s * 1000,
    }
    return await _quorum(channel, queue.name, arguments)


async def declare_dead(channel: AbstractChannel) -> AbstractQueue:
    """Declare the queues of dead letters and of what nobody can read; return the first."""
    dead = await _quorum(channel, topology.DEAD_LETTER_QUEUE, {"x-delivery-limit": _NEVER})
    await dead.bind(topology.DEAD_LETTER_EXCHANGE, DEAD_WORK_KEY, timeout=DECLARE_S)
    undecodable = await _quorum(channel, topology.UNDECODABLE_QUEUE, {"x-max-length": _UNDECODABLE_KEPT})
    await undecodable.bind(topology.DEAD_LETTER_EXCHANGE, UNDECODABLE_KEY, timeout=DECLARE_S)
    return dead


async def declare_records(channel: AbstractChannel) -> AbstractQueue:
    """Declare the logger's queue."""
    return await _quorum(channel, topology.RECORDS_QUEUE, {"x-delivery-limit": _NEVER})


async def declare_calls(channel: AbstractChannel, max_length: int) -> AbstractQueue:
    """Declare the queue of calls, which lives as long as it has a consumer."""
    arguments: dict[str, Any] = {
        "x-queue-type": "classic",
        "x-max-length": max_length,
        "x-max-length-bytes": topology.SYNC_QUEUE_BYTES,
        "x-overflow": "reject-publish",
        "x-expires": topology.SYNC_QUEUE_EXPIRES_MS,
    }
    queue = await channel.declare_queue(
        topology.SYNC_QUEUE, durable=True, auto_delete=True, arguments=arguments, timeout=DECLARE_S
    )
    await queue.bind(topology.CALLS_EXCHANGE, topology.SYNC_QUEUE, timeout=DECLARE_S)
    return queue


async def declare_notices(channel: AbstractChannel) -> AbstractQueue:
    """Declare this replica's own queue of notices, gone with its connection; the broker names it."""
    queue = await channel.declare_queue(exclusive=True, auto_delete=True, timeout=DECLARE_S)
    await queue.bind(topology.NOTICES_EXCHANGE, "#", timeout=DECLARE_S)
    return queue


async def _quorum(channel: AbstractChannel, name: str, arguments: dict[str, Any]) -> AbstractQueue:
    arguments = {"x-queue-type": "quorum"} | arguments
    return await channel.declare_queue(name, durable=True, arguments=arguments, timeout=DECLARE_S)
