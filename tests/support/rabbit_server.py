"""
A private RabbitMQ from the installed ``rabbitmq-server``: free loopback ports, a temporary directory, no trace.

The script inside the package is run, not Debian's wrapper, which would change user and directory. The port
mapper of Erlang (``epmd``) is started here, in the foreground and on a port of its own: the server would
otherwise leave a daemon behind. Data are thrown away, so it is ended by SIGKILL, whole process group at once.
"""

import os
import shutil
import signal
import socket
import time
from pathlib import Path
from secrets import token_hex

import httpx

from shared.process.child import Child

_START_S = 90.0
_POLL_S = 0.05
_PACKAGED = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitServer:
    """One server in ``directory``, started and stopped on the same event loop; started again it has its data."""

    def __init__(self, executable: Path, directory: Path) -> None:
        self._executable = executable
        self._directory = directory
        self._port, self._management_port, self._distribution_port, self._epmd_port = _free_ports(4)
        self._node = f"tidemill-{token_hex(4)}@localhost"
        self._children: list[Child] = []
        self.amqp_url = f"amqp://guest:guest@127.0.0.1:{self._port}/"
        self.management_url = f"http://guest:guest@127.0.0.1:{self._management_port}"

    @staticmethod
    def find() -> Path | None:
        """Return the server's own script, or ``None`` when RabbitMQ is not installed."""
        if _PACKAGED.exists():
            return _PACKAGED
        found = shutil.which("rabbitmq-server")
        return None if found is None else Path(found).resolve()

    async def start(self) -> None:
        """Start the processes; ``wait_until_it_answers`` tells when it is up."""
        (self._directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self._directory / "rabbitmq.conf").write_text(
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self._management_port}\n"
            "disk_free_limit.absolute = 50MB\n"
        )
        self._run([_epmd(), "-port", str(self._epmd_port), "-address", "127.0.0.1"], signal.SIGKILL)
        # The script waits for the server and passes a SIGTERM on to it: that is what our own death sends.
        self._run([str(self._executable)], signal.SIGTERM)

    async def stop(self) -> None:
        """Kill and reap everything."""
        for child in reversed(self._children):
            if not child.exited.is_set():
                os.killpg(child.pid, signal.SIGKILL)
            await child.end()

    @staticmethod
    def wait_until_it_answers(management_url: str) -> None:
        """Wait until the management interface, the last to come up, says that the node is in good health."""
        deadline = time.monotonic() + _START_S
        with httpx.Client(base_url=management_url, timeout=5, verify=False) as client:
            while time.monotonic() < deadline:
                try:
                    if client.get("/api/health/checks/local-alarms").status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(_POLL_S)
        raise RuntimeError(f"RabbitMQ did not answer within {_START_S:g} s")

    def _run(self, arguments: list[str], death_signal: signal.Signals) -> None:
        output = os.open(self._directory / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            self._children.append(
                Child(arguments, cwd=self._directory, environ=self._environ(), output=output, death_signal=death_signal)
            )
        finally:
            os.close(output)

    def _environ(self) -> dict[str, str]:
        directory = str(self._directory)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": directory,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": f"{directory}/mnesia",
            "RABBITMQ_LOG_BASE": f"{directory}/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{directory}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{directory}/rabbitmq",
            "RABBITMQ_PID_FILE": f"{directory}/pid",
        }


def _epmd() -> str:
    found = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)
    if found is None:
        raise RuntimeError("RabbitMQ is installed but Erlang's epmd is not where it should be")
    return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
