"""
An event loop in a thread of its own, for what outlives a test: servers started once for a whole session.

Tests have a loop each, and a child process is tied to the loop that started it; so the session's servers live
on this one. Its thread ends with ``close``, or with the process.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Background:
    """Runs coroutines to their end, called from synchronous code."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="backends", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, Result], *, timeout_s: float = 180.0) -> Result:
        """Run ``work`` on the loop and return what it returns."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
