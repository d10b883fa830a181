"""
Where messages go that will not be tried again, each with its true reason in a header.

Work that was rejected, or failed too often, goes to ``tidemill.dead.v1`` and is settled there; work whose consumers
died gets there by the broker's own dead-lettering. What nobody can read goes to ``tidemill.undecodable.v1``, where
operators find it.
"""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from shared.bus.connection import Link
from shared.bus.declare import DEAD_WORK_KEY, UNDECODABLE_KEY
from shared.bus.delivery import DELIVERY_LIMIT_REASON
from shared.bus.publisher import NotSentError, Properties
from shared.bus.sending import PERSISTENT, confirmed
from shared.domain.errors import UnavailableError
from shared.messages.topology import DEAD_LETTER_EXCHANGE

REASON_HEADER: Final = "x-tidemill-reason"
QUEUE_HEADER: Final = "x-tidemill-queue"
MAX_REASON: Final = 2_000
_UNANSWERED: Final = "every process that took it went away without a word"

_log = structlog.get_logger(__name__)


class Graveyard:
    """Buries messages."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def bury(self, body: bytes, reason: str, queue: str, *, undecodable: bool = False) -> None:
        """Put a message there and return when it is safe; ``UnavailableError`` if that fails."""
        key = UNDECODABLE_KEY if undecodable else DEAD_WORK_KEY
        if undecodable:
            _log.error("message_undecodable", queue=queue, reason=reason)
        await confirmed(
            self._link,
            body,
            exchange=DEAD_LETTER_EXCHANGE,
            routing_key=key,
            properties=lambda: _properties(reason, queue),
        )

    def park(self, body: bytes, reason: str, queue: str) -> None:
        """Put something unreadable there if that can be done now; for messages that promised nothing."""
        _log.error("message_undecodable", queue=queue, reason=reason)
        try:
            self._link.present().work.publish(
                body,
                exchange=DEAD_LETTER_EXCHANGE,
                routing_key=UNDECODABLE_KEY,
                properties=_properties(reason, queue),
            )
        except (NotSentError, UnavailableError) as error:
            _log.warning("message_not_parked", queue=queue, reason=str(error))


def _properties(reason: str, queue: str) -> Properties:
    headers: dict[str, Any] = {REASON_HEADER: reason[:MAX_REASON], QUEUE_HEADER: queue}
    return Properties(headers=headers, delivery_mode=PERSISTENT)


def reason_of(headers: Mapping[str, Any]) -> str:
    """Return why a dead letter is dead: as we said, or that the broker counted deliveries that nobody answered."""
    said = headers.get(REASON_HEADER)
    return str(said) if said else f"{DELIVERY_LIMIT_REASON}: {_UNANSWERED}"
