# ruff: noqa: E501 - sources of functions stand on one line
"""Policy ``internet``: what is outside can be reached, what is inside cannot, host addresses included."""

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.invoker.pool.pool import EngineSettings
from services.invoker.pool.settings import NetworkPolicy
from services.invoker.sandbox.ladder import usable_network
from services.invoker.sandbox.spawner_process import host_addresses
from tests.integration.engine.engine import make_directory, running_engine, spawner_below
from tests.integration.engine.test_isolation import LOOK
from tests.support.eventually import eventually, eventually_sync

PY = "python3.11"
OUTSIDE, OURS = "198.51.100.2", "198.51.100.1"
PRIVATE = {"10.77.0.2": "10.77.0.1", "192.168.77.2": "192.168.77.1", "172.20.77.2": "172.20.77.1"}
METADATA = "169.254.169.254"
PORT = 8080
REFUSED = {"ENETUNREACH", "EHOSTUNREACH", "ECONNREFUSED", "EACCES"}


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@dataclass
class Outside:
    """A network of the test's own, with a web server and a name server in it."""

    pid: int

    def serve(self, kind: int, port: int) -> socket.socket:
        """Open a socket inside the namespace: a socket keeps the namespace it was made in."""
        made: list[socket.socket] = []

        def open_there() -> None:
            with Path(f"/proc/{self.pid}/ns/net").open("rb") as handle:
                assert ctypes.CDLL(None).setns(handle.fileno(), 0x40000000) == 0
            made.append(socket.socket(socket.AF_INET, kind))

        thread = threading.Thread(target=open_there)
        thread.start()
        thread.join()
        made[0].bind(("0.0.0.0", port))
        return made[0]


@contextmanager
def alone() -> Iterator[None]:
    """Wait for other runs of these tests on this machine: the addresses are the same in each."""
    with socket.socket(socket.AF_UNIX) as lock:

        def bound() -> bool:
            try:
                lock.bind("\0tidemill-test-network")  # a name of the network namespace, gone with the process
            except OSError:
                return False
            return True

        eventually_sync(bound, within_s=60)
        yield


@pytest.fixture
def outside() -> Iterator[Outside]:
    """Return a network with hosts at a public, three private and the metadata address."""
    if os.geteuid() != 0:
        pytest.fail("needs root: only root can make a network for the test")
    tag = uuid.uuid4().hex[:6]
    here, there = f"tmh-{tag}", f"tmn-{tag}"
    with ExitStack() as stack:
        stack.enter_context(alone())
        holder = stack.enter_context(subprocess.Popen(["unshare", "--net", "sleep", "600"]))
        stack.callback(holder.kill)
        own = Path("/proc/self/ns/net").readlink()
        eventually_sync(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != own)
        inside = ("nsenter", "-t", str(holder.pid), "-n", "ip")
        run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", str(holder.pid))
        for theirs, ours in {OUTSIDE: OURS, **PRIVATE, METADATA: "169.254.169.1"}.items():
            run("ip", "addr", "add", f"{ours}/24", "dev", here)
            run(*inside, "addr", "add", f"{theirs}/24", "dev", there)
        run("ip", "link", "set", here, "up")
        run(*inside, "link", "set", there, "up")
        yield Outside(holder.pid)


@contextmanager
def answering(listener: socket.socket, answer: bytes) -> Iterator[None]:
    """Accept connections and answer each."""
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


@contextmanager
def naming(server: socket.socket, address: str) -> Iterator[None]:
    """Answer every name server question of type A with ``address``."""
    server.settimeout(0.1)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                question, peer = server.recvfrom(2048)
            except TimeoutError:
                continue
            end = question.index(b"\0", 12) + 5
            kind = struct.unpack("!H", question[end - 4 : end - 2])[0]
            records = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton(address) if kind == 1 else b""
            head = question[:2] + b"\x81\x80\0\x01" + struct.pack("!H", 1 if records else 0) + b"\0\0\0\0"
            server.sendto(head + question[12:end] + records, peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        server.close()


def connect(host: str, port: int = PORT) -> str:
    return f"(lambda s: (s.settimeout(3), errno.errorcode.get(s.connect_ex(({host!r}, {port})), 'open'))[1])(socket.socket())"


async def test_the_outside_is_open_and_everything_inside_is_closed(outside: Outside, engine_directory: Path) -> None:
    everywhere = outside.serve(socket.SOCK_STREAM, PORT)
    with ExitStack() as stack:
        stack.enter_context(answering(everywhere, b"hello from outside"))
        here = socket.create_server(("0.0.0.0", 0))
        stack.enter_context(answering(here, b"host"))
        port = here.getsockname()[1]
        for host in (OUTSIDE, *PRIVATE, METADATA):
            socket.create_connection((host, PORT), 3).close()  # this host reaches them all
        own = [address for address, _ in host_addresses()]
        assert OURS in own

        async with running_engine(engine_directory, network=NetworkPolicy.INTERNET) as engine:
            questions = {
                "outside": f"socket.create_connection(({OUTSIDE!r}, {PORT}), 3).recv(100).decode()",
                **{host: connect(host) for host in (*PRIVATE, METADATA)},
                **{address: connect(address, port) for address in own},
                "loopback": connect("127.0.0.1", port),
                "gateway": connect("10.0.2.2", port),
                "everywhere": connect("0.0.0.0", port),
                "routes": "(lambda s: errno.errorcode[ctypes.get_errno()] if ctypes.CDLL(None, use_errno=True).ioctl(s.fileno(), 0x890C, bytes(120)) else 0)(socket.socket())",
            }
            answers = await engine.result(engine.deploy(LOOK, runtime=PY, timeout_s=20), questions)
            assert engine.pool.describe().summary().count("network internet") == 1

    assert answers.pop("outside") == "hello from outside"
    assert answers.pop("routes") == "EPERM"
    assert set(answers.values()) <= REFUSED, answers


async def test_an_address_that_two_interfaces_have_does_not_cost_the_network(
    outside: Outside, engine_directory: Path
) -> None:
    run("ip", "addr", "add", f"{OURS}/32", "dev", "lo")
    try:
        assert [address for address, _ in host_addresses()].count(OURS) == 1
        async with running_engine(engine_directory, network=NetworkPolicy.INTERNET) as engine:
            assert "network internet" in engine.pool.describe().summary()
    finally:
        run("ip", "addr", "del", f"{OURS}/32", "dev", "lo")


async def test_names_are_resolved_through_the_helper(outside: Outside, engine_directory: Path) -> None:
    server = outside.serve(socket.SOCK_DGRAM, 53)
    tools = make_directory("tidemill-tools-")
    (tools / "resolv.conf").write_text(f"nameserver {OUTSIDE}\n", "utf-8")
    helper = tools / "slirp4netns"
    helper.write_text(
        f"#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\nexec unshare -m sh -c 'mount --bind {tools}/resolv.conf /etc/resolv.conf && "
        f'exec {shutil.which("slirp4netns")} "$@"\' slirp4netns "$@"\n',
        "utf-8",
    )
    helper.chmod(0o755)
    try:
        with naming(server, OUTSIDE):
            async with running_engine(engine_directory, network=NetworkPolicy.INTERNET, slirp4netns=helper) as engine:
                python = engine.deploy(
                    "import socket\ndef handler(e, c): return socket.gethostbyname('tidemill.example')", runtime=PY
                )
                node = engine.deploy(
                    "exports.handler = async () => (await require('dns').promises.lookup('tidemill.example')).address;"
                )

                assert await engine.result(python) == OUTSIDE
                assert await engine.result(node) == OUTSIDE
    finally:
        shutil.rmtree(tools)


async def test_the_helper_ends_with_its_sandbox(outside: Outside, engine_directory: Path) -> None:
    async with running_engine(engine_directory, network=NetworkPolicy.INTERNET, stem_cells_node=2) as engine:
        spawner = spawner_below(engine.pool._workshop._spawner.pid)

        def helpers() -> int:
            children = Path(f"/proc/{spawner}/task/{spawner}/children").read_text("ascii").split()
            return sum("slirp" in Path(f"/proc/{pid}/comm").read_text("ascii") for pid in children)

        await eventually(lambda: engine.pool.stats().stem_cells["node"] == 2)
        assert helpers() == 2
        (first, _) = engine.pool._workshop.cells._ready["node"]
        os.kill(first.pid, 9)
        await eventually(lambda: first.state == "gone")
        await eventually(lambda: helpers() == 2)


async def test_policy_host_is_open_and_said_so(engine_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        async with running_engine(engine_directory, network=NetworkPolicy.HOST) as engine:
            code = engine.deploy(LOOK, runtime=PY)
            answers = await engine.result(code, {"loopback": connect("127.0.0.1", here.getsockname()[1])})
            weak = [finding.topic for finding in engine.pool.describe().weaknesses]

    assert answers == {"loopback": "open"}
    assert "network" in weak


def test_without_the_helper_the_policy_falls_to_none_and_says_why(
    engine_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    settings = EngineSettings(directory=engine_directory, network=NetworkPolicy.INTERNET)

    policy, reason = usable_network(settings)

    assert policy is NetworkPolicy.NONE
    assert "slirp4netns" in reason


async def test_a_helper_that_does_not_work_costs_the_network_and_not_the_sandbox(engine_directory: Path) -> None:
    async with running_engine(
        engine_directory, network=NetworkPolicy.INTERNET, slirp4netns=Path("/bin/false")
    ) as engine:
        (weakness,) = [finding for finding in engine.pool.describe().weaknesses if finding.topic == "network"]

        assert engine.pool.level() == "full"
        assert weakness.value == "none"
        opened = os.access("/dev/net/tun", os.R_OK | os.W_OK)
        reason = "slirp4netns ended before the network was up" if opened else "/dev/net/tun cannot be opened"
        assert reason in weakness.missing
        assert await engine.result(engine.deploy("exports.handler = async () => 'ran';")) == "ran"
