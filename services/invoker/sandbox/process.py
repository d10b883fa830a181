"""
The processes of one sandbox, as the spawner tells of them.

``SandboxProcess`` asks for the sandbox, owns the handle of its first process, kills it and knows when nothing of
it is left: that is when the spawner's child and the sandbox's first process are both gone.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

from services.invoker.sandbox.freezer import FrozenTree
from services.invoker.sandbox.spawner import Spawner


class SandboxProcess:
    """
    One sandbox, from its request to its end.

    ``on_listener`` gets the socket on its own loopback interface, if one was asked for; then comes ``on_started``.
    ``on_gone`` is called once, if it was spawned at all.
    """

    __slots__ = (
        "_frozen", "_inner_gone", "_killed", "_loop", "_on_gone", "_on_listener", "_on_started", "_outer_gone",
        "_sandbox", "_spawner", "exit_code", "failure", "pid", "pidfd",
    )  # fmt: skip

    def __init__(
        self,
        spawner: Spawner,
        *,
        on_listener: Callable[[socket.socket], None],
        on_started: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawner = spawner
        self._on_listener, self._on_started, self._on_gone = on_listener, on_started, on_gone
        self._sandbox = 0
        self._frozen: FrozenTree | None = None
        self._killed = self._outer_gone = self._inner_gone = False
        self.pid, self.pidfd = 0, -1
        self.exit_code = -signal.SIGKILL
        self.failure = ""
        """What the spawner complained of, if it could not set the sandbox up."""

    @property
    def spawned(self) -> bool:
        """Tell whether the spawner was asked for it: then, and only then, its end will be heard of."""
        return self._sandbox != 0

    @property
    def lost(self) -> bool:
        """Tell whether it went with its spawner."""
        return self._spawner.lost

    def spawn(self, request: Mapping[str, Any], log: int, control: int | None) -> None:
        """
        Ask for it; the descriptors stay the caller's to close.

        Raises:
            RequestTooLargeError, ConnectionError: as the spawner says.
        """
        self._sandbox = self._spawner.spawn(dict(request), log, control, self)

    def kill(self) -> None:
        """Kill everything in it, now or as soon as it is there."""
        self._killed = True
        if self.pidfd < 0:
            self._spawner.kill(self._sandbox)
            return
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return
        except PermissionError:  # root without CAP_KILL: the outer process takes the sandbox with it
            self._spawner.kill(self._sandbox)

    def freeze(self) -> bool:
        """Stop everything in it until it is thawed; tell whether it was not stopped already."""
        if self._frozen is not None:
            return False
        self._frozen = FrozenTree(self.pid)
        return True

    def thaw(self) -> None:
        """Let it go on."""
        if self._frozen is not None:
            self._frozen.thaw()
            self._frozen = None

    def close(self) -> None:
        """Give the handles back."""
        if self._frozen is not None:
            self._frozen.drop()
            self._frozen = None
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def sandbox_listens(self, listener: int) -> None:
        self._on_listener(socket.socket(fileno=listener))

    def sandbox_started(self, pidfd: int, pid: int) -> None:
        self.pidfd, self.pid = pidfd, pid
        self._loop.add_reader(pidfd, self._inner_ended)
        if self._killed:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        else:
            self._on_started()

    def sandbox_failed(self, reason: str) -> None:
        self.failure = reason

    def sandbox_exited(self, code: int) -> None:
        self.exit_code, self._outer_gone = code, True
        if self.pidfd < 0 or self._inner_gone:
            self._on_gone()

    def _inner_ended(self) -> None:
        """The first process of the sandbox is gone, and with it all others."""
        self._loop.remove_reader(self.pidfd)
        self._inner_gone = True
        if self._outer_gone:
            self._on_gone()
