"""
Notices over RabbitMQ: every replica hears them by a queue of its own, which lives as long as its connection.

Best effort: no confirm, no acknowledgement. What is said while the connection is down is said when it is back
(the newest ``MAX_KEPT``); a replica that was away is told by ``on_gap`` that it may have missed some. So is
one that hears a notice it cannot read: it may be news of a newer version.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from shared.bus.bus import NoticeHandler
from shared.bus.connection import Link, Session
from shared.bus.consumer import Received
from shared.bus.publisher import NotSentError, Properties
from shared.messages import codec
from shared.messages.messages import Notice
from shared.messages.topology import NOTICES_EXCHANGE

MAX_KEPT: Final = 10_000

_log = structlog.get_logger(__name__)


class Notifier:
    """The telling side."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._leaving: deque[tuple[str, bytes]] = deque(maxlen=MAX_KEPT)
        self._scheduled = False
        link.on_up.append(self._resume)

    def notify(self, notice: Notice) -> None:
        """See ``Bus.notify``."""
        try:
            self._leaving.append((notice.TYPE, codec.encode(notice)))
        except codec.UnencodableError as error:
            _log.error("notice_unencodable", reason=error.reason)
            return
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        while self._leaving and (session := self._link.session) is not None:
            kind, frame = self._leaving[0]
            try:
                session.loose.publish(frame, exchange=NOTICES_EXCHANGE, routing_key=kind, properties=Properties())
            except NotSentError as error:
                _log.warning("notices_wait", count=len(self._leaving), reason=str(error))
                return
            self._leaving.popleft()

    async def _resume(self, session: Session) -> None:  # noqa: ARG002 - the form of a hook
        self._schedule()


class NoticeBoard:
    """The hearing side: one queue for all subscribers of this process."""

    def __init__(self) -> None:
        self._subscribers: list[tuple[NoticeHandler, Callable[[], None]]] = []

    def add(self, handler: NoticeHandler, on_gap: Callable[[], None]) -> None:
        """Tell ``handler`` too from now on."""
        self._subscribers.append((handler, on_gap))

    def on_message(self, message: Received) -> None:
        """Tell everybody."""
        try:
            notice = codec.decode(message.body)
            if not isinstance(notice, Notice):
                raise codec.UndecodableError(f"{notice.TYPE} is not a notice")
        except codec.UndecodableError as error:
            _log.warning("notice_undecodable", reason=error.reason)
            self.gap()
            return
        for handler, _ in self._subscribers:
            try:
                handler(notice)
            except Exception:  # noqa: BLE001 - one deaf subscriber must not cost the others
                _log.exception("notice_handler_failed", type=notice.TYPE)

    def gap(self) -> None:
        """Tell everybody that something may have been missed."""
        for _, on_gap in self._subscribers:
            try:
                on_gap()
            except Exception:  # noqa: BLE001 - as above
                _log.exception("notice_gap_handler_failed")
