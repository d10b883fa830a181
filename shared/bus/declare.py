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

from aiormq.abc import AbstractChannel

from shared.messages import topology
from shared.messages.topology import WorkQueue

DECLARE_S: Final = 10.0
DEAD_WORK_KEY: Final = "work"
UNDECODABLE_KEY: Final = "undecodable"
_UNDECODABLE_KEPT: Final = 10_000
_NEVER: Final = 1_000_000
_QUORUM: Final[dict[str, Any]] = {"x-queue-type": "quorum"}


async def declare_all(channel: AbstractChannel) -> None:
    """Declare what every replica needs to be there: all but the queue of calls, which comes with an invoker."""
    for exchange, kind in (
        (topology.CALLS_EXCHANGE, "direct"),
        (topology.DEAD_LETTER_EXCHANGE, "direct"),
        (topology.NOTICES_EXCHANGE, "topic"),
    ):
        await channel.exchange_declare(exchange, exchange_type=kind, durable=True, timeout=DECLARE_S)
    for queue in topology.WORK_QUEUES:
        await declare_work(channel, queue)
    await declare_dead(channel)
    await declare_records(channel)


async def declare_work(channel: AbstractChannel, queue: WorkQueue) -> str:
    """Declare one queue of work; return its name."""
    arguments = _QUORUM | {
        "x-delivery-limit": queue.delivery_limit,
        "x-dead-letter-exchange": topology.DEAD_LETTER_EXCHANGE,
        "x-dead-letter-routing-key": DEAD_WORK_KEY,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-consumer-timeout": queue.consumer_timeout_s * 1000,
    }
    await channel.queue_declare(queue.name, durable=True, arguments=arguments, timeout=DECLARE_S)
    return queue.name


async def declare_dead(channel: AbstractChannel) -> str:
    """Declare the queues of dead letters and of what nobody can read; return the name of the first."""
    arguments = _QUORUM | {"x-delivery-limit": _NEVER}
    await channel.queue_declare(topology.DEAD_LETTER_QUEUE, durable=True, arguments=arguments, timeout=DECLARE_S)
    await channel.queue_bind(
        topology.DEAD_LETTER_QUEUE, topology.DEAD_LETTER_EXCHANGE, DEAD_WORK_KEY, timeout=DECLARE_S
    )
    arguments = _QUORUM | {"x-max-length": _UNDECODABLE_KEPT}
    await channel.queue_declare(topology.UNDECODABLE_QUEUE, durable=True, arguments=arguments, timeout=DECLARE_S)
    await channel.queue_bind(
        topology.UNDECODABLE_QUEUE, topology.DEAD_LETTER_EXCHANGE, UNDECODABLE_KEY, timeout=DECLARE_S
    )
    return topology.DEAD_LETTER_QUEUE


async def declare_records(channel: AbstractChannel) -> str:
    """Declare the logger's queue; return its name."""
    arguments = _QUORUM | {"x-delivery-limit": _NEVER}
    await channel.queue_declare(topology.RECORDS_QUEUE, durable=True, arguments=arguments, timeout=DECLARE_S)
    return topology.RECORDS_QUEUE


async def declare_calls(channel: AbstractChannel, max_length: int) -> str:
    """Declare the queue of calls, which lives as long as it has a consumer; return its name."""
    arguments: dict[str, Any] = {
        "x-queue-type": "classic",
        "x-max-length": max_length,
        "x-max-length-bytes": topology.SYNC_QUEUE_BYTES,
        "x-overflow": "reject-publish",
        "x-expires": topology.SYNC_QUEUE_EXPIRES_MS,
    }
    name = topology.SYNC_QUEUE
    await channel.queue_declare(name, durable=True, auto_delete=True, arguments=arguments, timeout=DECLARE_S)
    await channel.queue_bind(name, topology.CALLS_EXCHANGE, topology.SYNC_QUEUE, timeout=DECLARE_S)
    return name


async def declare_notices(channel: AbstractChannel) -> str:
    """Declare this replica's own queue of notices, gone with its connection; return its name."""
    declared = await channel.queue_declare("", exclusive=True, auto_delete=True, timeout=DECLARE_S)
    assert declared.queue is not None
    await channel.queue_bind(declared.queue, topology.NOTICES_EXCHANGE, "#", timeout=DECLARE_S)
    return declared.queue
