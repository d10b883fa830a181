"""
Real Tidemill processes for end-to-end tests and the bench: nothing in this process but HTTP.

``all_in_one`` runs ``python -m services up``; ``separate`` runs the four services as processes of their own on
a given RabbitMQ and PostgreSQL. Both stop what they started and fail if anything of it is left.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "sl_" + "5eed" * 16
EMAIL = "admin@example.com"
PASSWORD = "correct horse battery staple"
CLIENT_ID = "tests-client"
CONSUMER_KEY = "tests-consumer"
CONSUMER_SECRET = "tests-consumer-secret"
START_S = 60.0
STOP_S = 45.0

CREDENTIALS = {
    "TIDEMILL_ADMIN_API_KEY": API_KEY,
    "TIDEMILL_ADMIN_EMAIL": EMAIL,
    "TIDEMILL_ADMIN_PASSWORD": PASSWORD,
    "TIDEMILL_OAUTH_CLIENT_ID": CLIENT_ID,
    "TIDEMILL_OAUTH1_CONSUMER_KEY": CONSUMER_KEY,
    "TIDEMILL_OAUTH1_CONSUMER_SECRET": CONSUMER_SECRET,
}

UNLIMITED = {"TIDEMILL_RATE_LIMIT": "off"}
"""Tests share an address and a key, and send more than one caller may."""


@dataclass(kw_only=True)
class Process:
    """One started service: its log is a file, ``address`` is its probes', its end is ours to see to."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path
    address: str = ""

    def log_text(self) -> str:
        """Return everything it has written so far."""
        return self.log.read_text("utf-8", "replace")

    def stop(self) -> int:
        """Ask it to drain and leave; return its exit code. Kills it past the deadline, and says so by raising."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(5)
            raise AssertionError(f"{self.name} did not stop within {STOP_S} s:\n{self.log_text()[-4000:]}") from None

    def kill(self) -> None:
        """End it as a crash would."""
        self.popen.kill()
        self.popen.wait(5)


@dataclass(kw_only=True)
class Platform:
    """A running platform and how to talk to it."""

    address: str
    processes: dict[str, Process] = field(default_factory=dict)

    def neo(self) -> httpx.Client:
        """Return a client of the Neo dialect, with the administrator's key."""
        return client_of(self.address, {"X-API-Key": API_KEY})

    def anonymous(self) -> httpx.Client:
        """Return a client with no credential."""
        return client_of(self.address)

    def extra_horizon(self) -> httpx.Client:
        """Return a client of the Extra Horizon dialect, logged in as the administrator."""
        body = {"client_id": CLIENT_ID, "grant_type": "password", "username": EMAIL, "password": PASSWORD}
        with client_of(self.address) as client:
            token = client.post("/auth/v2/oauth2/tokens", json=body).raise_for_status().json()["access_token"]
        return client_of(self.address, {"Authorization": f"Bearer {token}"})


def client_of(address: str, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a client of a loopback server. It loads no certificates: that takes 40 ms of CPU a client."""
    return httpx.Client(base_url=address, headers=headers, timeout=60, verify=False)


def free_port() -> int:
    """Return a loopback port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(name: str, arguments: Sequence[str], environ: Mapping[str, str], directory: Path) -> Process:
    """Start ``python -m`` with these arguments from the repository root, its output in a file."""
    log = directory / f"{name}.log"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TIDEMILL_")}
    with log.open("ab") as out:
        popen = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**clean, **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(name=name, popen=popen, log=log)


def wait_ready(process: Process, address: str) -> None:
    """Wait until ``/ready`` answers 200; fail with the log if the process ends or the time runs out."""
    deadline = time.monotonic() + START_S
    with client_of(address) as client:
        while time.monotonic() < deadline:
            if process.popen.poll() is not None:
                code = process.popen.returncode
                raise AssertionError(f"{process.name} ended with {code}:\n{process.log_text()[-6000:]}")
            try:
                if client.get("/ready", timeout=2).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise AssertionError(f"{process.name} was not ready within {START_S} s:\n{process.log_text()[-6000:]}")


@contextmanager
def all_in_one(directory: Path, environ: Mapping[str, str] | None = None) -> Iterator[Platform]:
    """Run everything in one process on embedded parts, kept in ``directory``."""
    port = free_port()
    process = spawn(
        "tidemill",
        ["services", "up", "--port", str(port), "--data-dir", str(directory / "data")],
        {**CREDENTIALS, **UNLIMITED, **(environ or {})},
        directory,
    )
    process.address = f"http://localhost:{port}"
    platform = Platform(address=process.address, processes={"tidemill": process})
    try:
        wait_ready(process, platform.address)
        yield platform
    finally:
        process.stop()


@contextmanager
def separate(
    directory: Path,
    amqp_url: str,
    database_url: str,
    environ: Mapping[str, str] | None = None,
    *,
    invokers: int = 1,
    apis: int = 1,
) -> Iterator[Platform]:
    """Run the four services as processes of their own; more apis than one are called ``api-1`` and so on."""
    shared = {
        **CREDENTIALS,
        **UNLIMITED,
        "TIDEMILL_AMQP_URL": amqp_url,
        "TIDEMILL_DATABASE_URL": database_url,
        **(environ or {}),
    }
    replicas = [*(f"invoker-{number}" for number in range(invokers)), *(f"api-{number}" for number in range(1, apis))]
    names = ["logger", "deployer", *replicas, "api"]
    own = {"TIDEMILL_DATA_DIR": str(directory / "migrate")}
    migration = spawn("migrate", ["services", "migrate"], {**shared, **own}, directory)
    if migration.popen.wait(START_S) != 0:
        raise AssertionError(f"the migration failed:\n{migration.log_text()[-4000:]}")
    with ExitStack() as stack:
        platform = Platform(address="")
        for name in names:
            platform.address = start_service(platform, name, shared, directory, stack)
        yield platform


def start_service(platform: Platform, name: str, environ: Mapping[str, str], directory: Path, stack: ExitStack) -> str:
    """Start one service of ``platform`` and wait until it is ready; return its address."""
    port = free_port()
    own = {"TIDEMILL_PORT": str(port), "TIDEMILL_DATA_DIR": str(directory / name)}
    process = spawn(name, [f"services.{name.partition('-')[0]}"], {**environ, **own}, directory)
    stack.callback(process.stop)
    platform.processes[name] = process
    process.address = f"http://localhost:{port}"
    wait_ready(process, process.address)
    return process.address
