"""Functions of ``provided.*``: a script with curl, or a compiled program, that asks the Runtime API for its events."""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.invoker.pool.settings import NetworkPolicy, SandboxLevel
from services.invoker.sandbox.landlock import version as landlock_version
from shared.domain.outcome import Crashed, OutOfMemory, Oversized, Raised, Returned, TimedOut
from tests.integration.engine.engine import Engine, running_engine
from tests.support.compiler import compiled_bootstrap
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

RUNTIME = "provided.al2023"
START = r"""#!/bin/bash
API="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
next() {
  EVENT=$(curl -sS -D "$TMPDIR/headers" "$API/invocation/next")
  ID=$(grep -i '^lambda-runtime-aws-request-id:' "$TMPDIR/headers" | cut -d: -f2 | tr -d '[:space:]')
}
send() { curl -sS -o /dev/null "$API/invocation/$ID/$1" "${@:2}"; }
answer() { send response -d "$1"; }
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(engine_directory: Path) -> AsyncIterator[Engine]:
    """Return an engine all these tests share; nothing waits in it."""
    async with running_engine(engine_directory, stem_cells_node=0) as running:
        yield running


def script(body: str, *, before: str = "") -> str:
    """Return a bootstrap that runs ``body`` for each event."""
    return f"{START}{before}\nwhile true; do next\n{body}\ndone\n"


async def result(engine: Engine, source: str | bytes, event: object = None, **options: Any) -> Any:
    files = source if isinstance(source, str) else {"bootstrap": source}
    return await engine.result(engine.deploy(files, runtime=RUNTIME, **options), event)


async def test_a_shell_script_answers_events(engine: Engine) -> None:
    code = engine.deploy(script('answer "{\\"got\\":$EVENT}"'), runtime=RUNTIME)

    assert await engine.result(code, {"who": "Bo"}) == {"got": {"who": "Bo"}}
    assert await engine.result(code, ["é", 'a "quoted" word']) == {"got": ["é", 'a "quoted" word']}


async def test_a_compiled_program_answers_events_and_stays_warm(engine: Engine) -> None:
    code = engine.deploy({"bootstrap": compiled_bootstrap()}, runtime="provided.al2")

    reports = [await engine.invoke(code, {"n": n}) for n in range(3)]

    answers = [json.loads(each.outcome.result) for each in reports]  # type: ignore[union-attr]
    assert answers == [{"statusCode": 200, "body": {"n": n}, "calls": n + 1} for n in range(3)]
    assert [each.timings.cold_start for each in reports] == [True, False, False]
    assert reports[0].timings.init_ms > 0
    assert reports[0].timings.worker_ms > 0
    assert reports[2].timings.handler_ms > 0


async def test_the_invocation_is_told_in_headers(engine: Engine) -> None:
    report = await engine.invoke(
        engine.deploy(script('cat /tmp/headers; echo "$(date +%s%3N)"; answer 1'), runtime=RUNTIME, name="teller"),
        request_id="0f2e7f3a-7d0f-4f44-9b1f-7d3c6f1f2a3b",
        context={"invoked_function_arn": "arn:aws:lambda:us-east-1:000000000000:function:teller:live"},
    )
    said = "\n".join(line.text for line in report.logs)
    headers = dict(re.findall(r"(?im)^(lambda-runtime-[a-z-]+): (.*?)\r?$", said.lower()))

    assert headers["lambda-runtime-aws-request-id"] == "0f2e7f3a-7d0f-4f44-9b1f-7d3c6f1f2a3b"
    assert headers["lambda-runtime-invoked-function-arn"].endswith("function:teller:live")
    assert re.fullmatch(r"root=1-[0-9a-f]{8}-[0-9a-f]{24};sampled=0", headers["lambda-runtime-trace-id"])
    now_ms = int(said.rstrip().rpartition("\n")[2])
    assert 3000 < int(headers["lambda-runtime-deadline-ms"]) - now_ms <= 5000


async def test_the_environment_is_lambdas(engine: Engine) -> None:
    body = 'answer "[$(env | sed \'s/\\(.*\\)/"\\1",/\') \\"PWD=$PWD\\"]"'
    told = await result(
        engine,
        script(body),
        name="greeter",
        handler="some.handler",
        environment={"COLOUR": "green", "TZ": "Asia/Tokyo"},
    )
    environment = dict(each.split("=", 1) for each in told)

    assert environment["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
    assert environment["_HANDLER"] == "some.handler"
    assert environment["LAMBDA_TASK_ROOT"] == environment["PWD"] == "/var/task"
    assert (environment["COLOUR"], environment["TZ"]) == ("green", "Asia/Tokyo")
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "greeter"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert "/var/task/lib" in environment["LD_LIBRARY_PATH"].split(":")
    assert "AWS_EXECUTION_ENV" not in environment


async def test_what_is_written_belongs_to_the_invocation_that_wrote_it(engine: Engine) -> None:
    code = engine.deploy(
        script("echo out $EVENT; echo err $EVENT >&2; answer 1", before="echo start >&2"), runtime=RUNTIME
    )

    first, second = await engine.invoke(code, 1), await engine.invoke(code, 2)

    assert [line.text for line in first.logs] == ["start", "out 1", "err 1"]
    assert [line.text for line in second.logs] == ["out 2", "err 2"]


async def test_a_failed_invocation_is_the_error_that_was_told_and_the_worker_goes_on(engine: Engine) -> None:
    told = '{"errorType":"Own","errorMessage":"mine","stackTrace":["a","b"]}'
    body = f"""if [ "$EVENT" = 1 ]; then send error -d '{told}'; else answer '"fine"'; fi"""
    code = engine.deploy(script(body), runtime=RUNTIME)

    assert await engine.error(code, 1) == Raised(name="Own", message="mine", stack="a\nb")
    report = await engine.invoke(code, 2)
    assert (report.outcome, report.timings.cold_start) == (Returned(result=b'"fine"'), False)


async def test_an_answer_of_nothing_is_null_and_one_that_is_not_json_is_an_error(engine: Engine) -> None:
    code = engine.deploy(script('if [ "$EVENT" = 1 ]; then answer ""; else answer "plain words"; fi'), runtime=RUNTIME)

    assert (await engine.invoke(code, 1)).outcome == Returned(result=b"null", defined=False)
    assert (await engine.error(code, 2)).name == "Runtime.MarshalError"


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("#!/bin/bash\nexit 3\n", Crashed(exit_code=3)),
        ("#!/bin/bash\nkill -SEGV $$\n", Crashed(signal=11)),
        (
            f"""{START}curl -sS "$API/init/error" -d '{{"errorType":"No.Luck","errorMessage":"no"}}'; sleep 60""",
            Raised(name="No.Luck", message="no"),
        ),
        (
            "#!/usr/bin/absent\n",
            Raised(
                name="Runtime.InvalidEntrypoint",
                message="Error: fork/exec /var/task/bootstrap: no such file or directory",
            ),
        ),
        (
            "neither script nor program\n",
            Raised(name="Runtime.InvalidEntrypoint", message="Error: fork/exec /var/task/bootstrap: exec format error"),
        ),
    ],
)
async def test_a_start_that_fails_is_told_as_what_it_is(engine: Engine, source: str, outcome: object) -> None:
    assert (await engine.invoke(engine.deploy(source, runtime=RUNTIME))).outcome == outcome


async def test_a_package_without_a_program_cannot_start(engine: Engine) -> None:
    error = await engine.error(engine.deploy({"main": "#!/bin/sh\n"}, runtime=RUNTIME))

    assert error.name == "Runtime.InvalidEntrypoint"


async def test_a_start_is_bounded_by_the_time_limit(engine: Engine) -> None:
    report = await engine.invoke(engine.deploy("#!/bin/bash\nsleep 60\n", runtime=RUNTIME, timeout_s=0.5))

    assert report.outcome == TimedOut(limit_s=0.5)


async def test_a_run_ends_at_its_time_limit_with_all_its_processes(engine: Engine) -> None:
    marker = f"sleeper-{os.getpid()}"
    body = f"( exec -a {marker} sleep 600 ) & ( exec -a {marker} sleep 600 )"
    report = await engine.invoke(engine.deploy(script(body), runtime=RUNTIME, timeout_s=0.6))

    assert report.outcome == TimedOut(limit_s=0.6)
    await eventually(lambda: not [1 for each in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in read(each)])


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_memory_beyond_the_limit_is_told_apart_from_a_crash(engine: Engine) -> None:
    hog = script('LIST=x; while true; do LIST="$LIST$LIST"; done')

    assert (await engine.invoke(engine.deploy(hog, runtime=RUNTIME, timeout_s=20))).outcome == OutOfMemory(limit_mb=128)


async def test_a_program_that_dies_is_told_by_how_and_the_next_call_gets_another(engine: Engine) -> None:
    code = engine.deploy({"bootstrap": compiled_bootstrap()}, runtime=RUNTIME, timeout_s=0.5)

    assert (await engine.invoke(code, "do:crash")).outcome == Crashed(exit_code=7)
    assert (await engine.invoke(code, "do:fault")).outcome == Crashed(signal=signal.SIGSEGV)
    assert (await engine.invoke(code, "do:loop")).outcome == TimedOut(limit_s=0.5)
    report = await engine.invoke(code, "do:log")
    assert [line.text for line in report.logs] == ["compiled and started", "from standard error"]


async def test_a_program_that_ends_between_calls_costs_nobody_a_call(engine: Engine) -> None:
    once = engine.deploy(f"{START}next; answer $EVENT; exit 0\n", runtime=RUNTIME)

    assert [await engine.result(once, n) for n in range(5)] == [0, 1, 2, 3, 4]


async def test_slow_calls_get_workers_of_their_own(engine: Engine) -> None:
    code = engine.deploy(script("sleep 0.5; answer $$"), runtime=RUNTIME)
    await engine.invoke(code)

    reports = await asyncio.gather(*(engine.invoke(code) for _ in range(3)))

    assert {type(each.outcome) for each in reports} == {Returned}


async def test_the_limits_of_events_and_results_are_lambdas(engine: Engine) -> None:
    """The program answers with its event, or with one byte more than is allowed."""
    body = """if [ "$EVENT" = null ]; then head -c 6291457 /dev/zero | tr '\\0' 1 > /tmp/out
    else printf %s "$EVENT" > /tmp/out; fi
    send response --data-binary @/tmp/out"""
    code = engine.deploy(script(body), runtime=RUNTIME, timeout_s=20, memory_mb=512)
    largest = "x" * (6_291_456 - 2)

    assert (await engine.invoke(code, largest)).outcome == Returned(result=json.dumps(largest).encode())
    report = await engine.invoke(code)
    assert report.outcome == Oversized(size_bytes=6_291_457, limit_bytes=6_291_456)
    assert not report.timings.cold_start


async def test_asking_to_no_purpose_costs_the_program_its_life(engine: Engine) -> None:
    report = await engine.invoke(
        engine.deploy(script('curl -s "$API/[1-2000]" > /dev/null; sleep 60'), runtime=RUNTIME, timeout_s=20)
    )

    assert report.outcome == Crashed(signal=signal.SIGKILL)
    await eventually(lambda: engine.pool.stats().ended.get("protocol") == 1)


async def test_the_sandbox_is_that_of_all_functions(engine: Engine) -> None:
    body = r"""one_line() { tr '\t\n' '  '; }
    WRITE=$(touch /var/task/x 2>&1 | one_line)
    FILES=$(ls /root /home 2>&1 | one_line)
    STATUS=$(grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | one_line)
    OPEN=$(ls /proc/self/fd | one_line)
    answer "{\"write\":\"$WRITE\",\"files\":\"$FILES\",\"status\":\"$STATUS\",\"open\":\"$OPEN\"}" """
    told = await result(engine, script(body))

    assert "Read-only file system" in told["write"] or "Permission denied" in told["write"]
    assert told["files"].count("No such file or directory") == 2
    assert told["status"].split() == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert told["open"].split() == ["0", "1", "2", "3"], "the last is the listing's own"


GROUNDS = [
    (SandboxLevel.FULL, NetworkPolicy.NONE),
    (SandboxLevel.FULL, NetworkPolicy.INTERNET),
    (SandboxLevel.FULL, NetworkPolicy.HOST),
    (SandboxLevel.NO_PROC, NetworkPolicy.NONE),
    (SandboxLevel.LANDLOCK, NetworkPolicy.NONE),
    (SandboxLevel.LANDLOCK, NetworkPolicy.HOST),
    (SandboxLevel.NONE, NetworkPolicy.NONE),
    (SandboxLevel.NONE, NetworkPolicy.HOST),
]


@pytest.mark.parametrize(("level", "network"), GROUNDS, ids=[f"{level}-{network}" for level, network in GROUNDS])
async def test_programs_run_on_every_rung_and_under_every_policy(
    engine_directory: Path, level: SandboxLevel, network: NetworkPolicy
) -> None:
    own = level.at_least(SandboxLevel.NO_PROC) and network is not NetworkPolicy.HOST
    async with running_engine(
        engine_directory, stem_cells_node=0, levels=(level,), minimum_level=SandboxLevel.NONE, network=network
    ) as engine:
        shell = engine.deploy(script('answer "\\"$AWS_LAMBDA_RUNTIME_API $PWD\\""'), runtime=RUNTIME)
        api, directory = (await engine.result(shell)).split()
        compiled = engine.deploy({"bootstrap": compiled_bootstrap()}, runtime=RUNTIME)
        weak = {each.topic: each.meaning for each in engine.pool.describe().weaknesses}

        assert await engine.result(compiled, {"n": 1}) == {"statusCode": 200, "body": {"n": 1}, "calls": 1}
        assert (api == "127.0.0.1:9001") == own
        assert directory.endswith("/task")
        assert ("runtime api" in weak) == (not own)
        if not own:
            assert ("of any host" in weak["runtime api"]) == (network is NetworkPolicy.NONE)
            port = int(api.partition(":")[2])
            shared = os.geteuid() != 0 and (level, network) != (SandboxLevel.LANDLOCK, NetworkPolicy.NONE)
            assert ("each other" in weak["runtime api"]) == shared
        if not own and os.geteuid() == 0:
            with socket.create_connection(("127.0.0.1", port), 5) as stranger:
                stranger.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n")
                assert await asyncio.to_thread(heard, stranger) == b""
        assert await engine.result(shell)


def heard(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""


async def test_under_landlock_a_program_reaches_its_api_and_nothing_else(engine_directory: Path) -> None:
    if landlock_version() == 0:
        pytest.fail("this kernel has no Landlock: run the tests where it is enabled")
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        body = f"""TCP=$( (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>&1 && echo open || echo closed)
        UDP=$( (exec 3<>/dev/udp/127.0.0.1/{port}) 2>&1 && echo open || echo closed)
        answer "[\\"${{TCP##*$'\\n'}}\\", \\"${{UDP##*$'\\n'}}\\"]" """
        async with running_engine(engine_directory, stem_cells_node=0, levels=(SandboxLevel.LANDLOCK,)) as engine:
            assert await result(engine, script(body)) == ["closed", "closed"]
