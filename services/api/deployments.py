"""
Who waits for which deployment to end.

A waiter is opened before the command is sent, so the announcement cannot come before somebody listens. The
announcement is best effort: whoever waits also looks at the deployment's row from time to time
(``operations/deploy.py``).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from shared.messages.messages import DeploymentFinished


class DeploymentWaiters:
    """The waiting room of one process: at most one waiter for each deployment, gone when its caller leaves."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[DeploymentFinished]] = {}

    @contextmanager
    def expect(self, deployment_id: str) -> Iterator[asyncio.Future[DeploymentFinished]]:
        """Give a future that the announcement of this deployment's end completes."""
        future: asyncio.Future[DeploymentFinished] = asyncio.get_running_loop().create_future()
        self._waiting[deployment_id] = future
        try:
            yield future
        finally:
            del self._waiting[deployment_id]
            future.cancel()

    def on_finished(self, notice: DeploymentFinished) -> None:
        """Tell whoever waits for it here; most deployments are waited for elsewhere."""
        future = self._waiting.get(notice.deployment_id)
        if future is not None and not future.done():
            future.set_result(notice)
