# ruff: noqa: E501 - sources of functions stand on one line
"""What a function can see and do beyond itself: nothing. Each case has happened to somebody."""

import asyncio
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from shared.domain.outcome import Crashed, Returned
from tests.integration.engine.engine import Engine, make_directory, running_engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


PY = "python3.11"

LOOK = """
import glob, os, socket, ctypes, errno
def read(path):
    try:
        with open(path, 'rb') as f: return f.read(200).decode('utf-8', 'replace')
    except OSError as e: return errno.errorcode[e.errno]
def write(path):
    try:
        with open(path, 'wb') as f: f.write(b'x')
        return 'written'
    except OSError as e: return errno.errorcode[e.errno]
def handler(event, context):
    return {name: eval(text) for name, text in event.items()}
"""


async def look(engine: Engine, **questions: str) -> dict[str, Any]:
    answers = await engine.result(engine.deploy(LOOK, runtime=PY), questions)
    assert isinstance(answers, dict)
    return answers


async def test_the_process_has_no_privilege_left(engine: Engine) -> None:
    status = await look(
        engine,
        status="dict(line.split(':\\t') for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)",
        ids="[os.getuid(), os.geteuid(), os.getgid(), os.getgroups()]",
    )
    fields = status["status"]
    assert isinstance(fields, dict)

    for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
        assert int(fields[name], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert status["ids"][:3] == [1000, 1000, 1000]


async def test_only_the_runtimes_files_are_there(engine: Engine) -> None:
    seen = await look(
        engine,
        root="sorted(os.listdir('/'))",
        etc="sorted(os.listdir('/etc'))",
        opened="[os.path.exists(p) for p in ('/root', '/home', '/work', '/sys', '/usr/bin/bash', '/usr/sbin', '/etc/shadow')]",
        users="read('/etc/passwd')",
        var="sorted(os.listdir('/var'))",
    )

    assert set(seen["root"]) <= {"bin", "dev", "etc", "lib", "lib64", "opt", "proc", "runtime", "tmp", "usr", "var"}
    assert set(seen["etc"]) <= {"group", "hosts", "nsswitch.conf", "passwd", "resolv.conf", "ssl"}
    assert not any(seen["opened"])
    assert "sandbox" in str(seen["users"])
    assert seen["var"] == ["task"]


async def test_nothing_but_tmp_can_be_written(engine: Engine) -> None:
    places = ("/x", "/var/x", "/var/task/main.py", "/var/task/x", "/etc/passwd", "/usr/bin/python3", "/runtime/worker.py", "/dev/x", "/proc/sys/kernel/core_pattern")  # fmt: skip
    answers = await look(
        engine, **{str(n): f"write({place!r})" for n, place in enumerate(places)}, tmp="write('/tmp/x')"
    )

    assert answers.pop("tmp") == "written"
    assert set(answers.values()) <= {"EROFS", "EACCES", "EPERM", "ETXTBSY"}


async def test_the_platforms_credentials_cannot_be_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_MASTER_KEY", "platform-secret-marker")
    answers = await look(
        engine,
        environments="[read(p) for p in glob.glob('/proc/[0-9]*/environ')]",
        pids="[int(p) for p in os.listdir('/proc') if p.isdigit()]",
        commands="[read(p) for p in glob.glob('/proc/[0-9]*/cmdline')]",
        mine="dict(os.environ)",
        disk=f"[os.path.exists(p) for p in {[str(Path.home()), '/work', str(Path.cwd())]!r}]",
    )

    assert "platform-secret-marker" not in str(answers)
    assert "TIDEMILL" not in str(answers)
    assert len(answers["pids"]) == 2
    assert not any(answers["disk"])


async def test_only_our_descriptors_are_open(engine: Engine) -> None:
    answers = await look(engine, fds="sorted(int(n) for n in os.listdir('/proc/self/fd'))[:-1]")

    assert answers["fds"] == [0, 1, 2, 3]


async def test_another_functions_package_cannot_be_seen(engine: Engine) -> None:
    await engine.result(
        engine.deploy({"index.js": "exports.handler = async () => 1;", "marker-of-another.txt": "secret"})
    )
    answers = await look(engine, found="[d for d, _, files in os.walk('/') if 'marker-of-another.txt' in files]")

    assert answers["found"] == []


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("libc.ptrace(0, 0, 0, 0)", "EPERM"),
        ("libc.unshare(0x10000000)", "EPERM"),
        ("libc.unshare(0x40000000)", "EPERM"),
        ("libc.setns(0, 0)", "EPERM"),
        ("libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)", "EPERM"),
        ("libc.umount2(b'/tmp', 0)", "EPERM"),
        ("libc.chroot(b'/tmp')", "EPERM"),
        ("libc.syscall(321, 0, 0, 0)", "EPERM"),
        ("libc.syscall(298, 0, 0, 0, 0, 0)", "EPERM"),
        ("libc.syscall(250, 0, 0, 0, 0, 0)", "EPERM"),
        ("libc.syscall(425, 1, 0)", "EPERM"),
        ("libc.syscall(323, 0)", "EPERM"),
        ("libc.syscall(310, 1, 0, 0, 0, 0, 0)", "EPERM"),
        ("libc.syscall(438, 3, 0, 0)", "EPERM"),
        ("libc.syscall(435, 0, 0)", "ENOSYS"),
        ("libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)", "EPERM"),
        ("libc.syscall(0x40000000 + 39)", "ENOSYS"),
        ("libc.ioctl(0, 0x5412, b'x')", "EPERM"),
        ("libc.socket(17, 3, 0)", "EAFNOSUPPORT"),
        ("libc.socket(40, 1, 0)", "EAFNOSUPPORT"),
        ("libc.personality(0x0040000)", "EPERM"),
        ("libc.sethostname(b'x', 1)", "EPERM"),
        ("libc.socket(1, 1, 0)", "0"),
        ("libc.socket(2, 1, 0)", "0"),
    ],
)
async def test_the_filter_denies(engine: Engine, call: str, answer: str) -> None:
    if os.uname().machine != "x86_64":
        call = "libc.unshare(0x10000000)" if "syscall" in call else call
    text = (
        f"(lambda libc: '0' if {call} >= 0 else errno.errorcode[ctypes.get_errno()])(ctypes.CDLL(None, use_errno=True))"
    )

    assert (await look(engine, told=text))["told"] == answer


async def test_there_is_no_network(engine: Engine) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    text = "(lambda s: errno.errorcode[s.connect_ex({target!r})])(socket.socket())"
    with listening:
        answers = await look(
            engine,
            loopback=text.format(target=("127.0.0.1", port)),
            outside=text.format(target=("198.51.100.1", 80)),
            metadata=text.format(target=("169.254.169.254", 80)),
            links="[name for _, name in socket.if_nameindex()]",
        )

    assert answers == {"loopback": "ECONNREFUSED", "outside": "ENETUNREACH", "metadata": "ENETUNREACH", "links": ["lo"]}


@pytest.mark.parametrize(
    "write",
    [
        "b'garbage\\n'",
        'b\'{"t":"done","n":4}\\nnull\'',
        'b\'{"t":"done","id":"another","ms":1,"n":4}\\nnull\'',
        'b\'{"t":"done","n":99999999999}\\n\'',
        'b\'{"t":"hello","n":0}\\n\'',
        'b\'{"t":7,"n":0}\\n\'',
        "b'[]\\n'",
        "b'x' * 100000",
        'b\'{"t":"raised","id":"\' + context.aws_request_id.encode() + b\'","ms":1,"n":2}\\n[]\'',
    ],
)
async def test_writing_to_the_protocols_socket_hurts_only_oneself(engine: Engine, write: str) -> None:
    source = f"import os, time\ndef handler(event, context):\n    if event: os.write(3, {write}); time.sleep(5)\n    return 'fine'\n"
    code = engine.deploy(source, runtime=PY)

    assert Crashed(signal=9) == (await engine.invoke(code, True)).outcome
    assert await engine.result(code, False) == "fine"


async def test_an_answer_while_nobody_asked_ends_the_worker(engine: Engine) -> None:
    source = """
    exports.handler = async (event, context) => {
      setTimeout(() => require('fs').writeSync(3, JSON.stringify({ t: 'done', id: context.awsRequestId, ms: 1, n: 4 }) + '\\nnull'), 20);
      return process.pid;
    };"""
    code = engine.deploy(source)
    before = engine.pool.stats().ended.get("protocol", 0)

    assert isinstance((await engine.invoke(code)).outcome, Returned)
    await eventually(lambda: engine.pool.stats().ended.get("protocol", 0) == before + 1)
    assert isinstance((await engine.invoke(code)).outcome, Returned)


async def test_slots_are_closed_to_each_other_on_the_host(engine_directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("needs root: only root gives each slot a uid of its own")
    async with running_engine(engine_directory) as engine:
        code = engine.deploy("exports.handler = async () => 1;")
        await engine.result(code)
        homes = list(engine_directory.glob("run-*/slots/*"))

        assert homes
        assert {0o750} == {home.stat().st_mode & 0o777 for home in homes}
        assert len(homes) == len({home.stat().st_gid for home in homes})


async def test_secrets_on_the_way_to_a_sandbox_are_on_no_command_line(engine: Engine) -> None:
    code = engine.deploy(
        "exports.handler = () => new Promise((r) => setTimeout(r, 300));",
        environment={"NODE_OPTIONS": "--title=x", "API_KEY": "s3cret-marker", "NODE_SECRET": "s3cret-marker"},
    )

    async def watch() -> list[bytes]:
        seen = []
        for _ in range(20):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(entry.read_bytes())
                except OSError:
                    continue
            await asyncio.sleep(0.01)
        return seen

    _, commands = await asyncio.gather(engine.invoke(code), watch())

    assert not [line for line in commands if b"s3cret-marker" in line]


async def test_an_engine_below_a_closed_directory_still_runs(engine_directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("needs root: only root changes its uid")
    closed = make_directory("tidemill-closed-")
    closed.chmod(0o700)
    try:
        async with running_engine(closed / "data" / "engine") as engine:
            assert await engine.result(engine.deploy("exports.handler = async () => 'ran';")) == "ran"
            assert engine.pool.level() == "full"
    finally:
        shutil.rmtree(closed)
