"""
Sending what must arrive: publish, wait for the confirm, try again on the next connection until time is up.

Sends are pipelined: each waits for its own confirm, none for another's. A message whose confirm was lost with the
connection is sent again, so it may arrive twice; whoever handles it is idempotent.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from aio_pika.exceptions import DeliveryError, PublishError

from shared.bus.connection import CHANNEL_ERRORS, Link, Session
from shared.bus.publisher import Confirm, ConnectionLostError, NotSentError, Properties, why_not
from shared.domain.errors import UnavailableError

SEND_S: Final = 5.0
PERSISTENT: Final = 2
_CONGESTED_S: Final = 0.01

_log = structlog.get_logger(__name__)


async def confirmed(
    link: Link, body: bytes, *, exchange: str, routing_key: str, properties: Callable[[], Properties]
) -> None:
    """
    Publish one message and return when the broker has it safe.

    Raises:
        UnavailableError: not within ``SEND_S`` seconds, or the broker refuses it.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + SEND_S
    while (left_s := until - loop.time()) > 0:
        session = await link.ready(left_s)
        try:
            confirm = session.work.publish(body, exchange=exchange, routing_key=routing_key, properties=properties())
            await settled(confirm, left_s)
        except ConnectionLostError as error:
            _log.info("send_again", routing_key=routing_key, reason=str(error))
        except NotSentError as error:
            # The connection is full, or going: a moment later it has room, or is known to be lost.
            _log.debug("send_waits", routing_key=routing_key, reason=str(error))
            await asyncio.sleep(_CONGESTED_S)
        except PublishError as error:
            await _declare_again(session, error)
        except DeliveryError as error:
            raise UnavailableError(f"the message broker refuses the message: {why_not(error)}") from error
        except TimeoutError as error:
            session.overdue("a message was not confirmed in time")
            raise UnavailableError("the message broker did not confirm in time") from error
        else:
            return
    raise UnavailableError("the message broker does not take the message")


async def settled(confirm: Confirm, timeout_s: float) -> None:
    """Wait for a confirm without ever cancelling it: it is the connection's. ``TimeoutError`` if it takes longer."""
    await asyncio.wait({confirm}, timeout=max(0.0, timeout_s))
    if not confirm.done():
        raise TimeoutError
    confirm.result()


async def _declare_again(session: Session, error: Exception) -> None:
    """Somebody deleted the queue: it is made anew, once; the next attempt finds it."""
    _log.warning("queue_gone", reason=repr(error))
    try:
        await session.declare()
    except CHANNEL_ERRORS as broken:
        session.suspect("the topology cannot be declared")
        raise UnavailableError("the message broker has no queue for the message") from broken
