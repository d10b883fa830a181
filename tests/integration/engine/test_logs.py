# ruff: noqa: E501 - sources of functions stand on one line
import re
from pathlib import Path

import pytest

from shared.domain.outcome import Crashed, LogLine, TimedOut
from tests.integration.engine.engine import Engine, running_engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


PY = "python3.11"


def texts(lines: tuple[LogLine, ...]) -> list[tuple[str, str]]:
    return [(line.level, line.text) for line in lines]


async def test_node_lines_have_lambdas_form(engine: Engine) -> None:
    source = """exports.handler = async () => {
      console.log('plain %d', 7); console.info('i'); console.warn('w'); console.error('two\\nlines'); console.debug('d'); console.trace('t');
    };"""
    identity = "0b6f8a9e-0000-4000-8000-123456789abc"
    report = await engine.invoke(engine.deploy(source), request_id=identity)

    assert texts(report.logs) == [
        ("info", "plain 7"),
        ("info", "i"),
        ("warn", "w"),
        ("error", "two\rlines"),
        ("debug", "d"),
        ("trace", "t"),
    ]
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z\t{identity}\tINFO\tplain 7", report.logs[0].message
    )
    assert "\n" not in report.logs[3].message


async def test_python_lines_have_lambdas_form(engine: Engine) -> None:
    source = """
import logging, sys
log = logging.getLogger()
log.setLevel(logging.INFO)
def handler(event, context):
    print("bare")
    log.info("said %s", "so")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("two\\nlines")
    print("to stderr", file=sys.stderr)
"""
    identity = "0b6f8a9e-0000-4000-8000-123456789abc"
    report = await engine.invoke(engine.deploy(source, runtime=PY), request_id=identity)

    bare, said, failed, other = report.logs
    assert (bare.level, bare.text, bare.message) == ("info", "bare", "bare")
    assert (said.level, said.text) == ("info", "said so")
    assert re.fullmatch(rf"\[INFO\]\t[0-9-]{{10}}T[0-9:.]{{12}}Z\t{identity}\tsaid so", said.message)
    assert failed.level == "error"
    assert failed.text.startswith("two\nlines\nTraceback")
    assert other.text == "to stderr"


async def test_raw_writes_partial_lines_and_binary_belong_to_their_call(engine: Engine) -> None:
    source = """const fs = require('fs');
    exports.handler = async (event) => {
      fs.writeSync(1, `out ${event.n}\\n`); fs.writeSync(2, `err ${event.n}\\n`);
      fs.writeSync(1, Buffer.from([0xff, 0x00, 0x41, 0x0a])); fs.writeSync(1, `part ${event.n}`);
    };"""
    code = engine.deploy(source)

    for n in range(20):
        report = await engine.invoke(code, {"n": n})
        assert [f"out {n}", f"err {n}", "\ufffd\ufffdA", f"part {n}"] == [line.message for line in report.logs]


async def test_log_lines_survive_a_crash_and_a_timeout(engine: Engine) -> None:
    crash = await engine.invoke(
        engine.deploy("exports.handler = () => { console.log('last words'); process.exit(3); };")
    )
    slow = await engine.invoke(
        engine.deploy("exports.handler = () => { console.log('so far'); for (;;); };", timeout_s=0.3)
    )

    assert Crashed(exit_code=3) == crash.outcome
    assert texts(crash.logs) == [("info", "last words")]
    assert TimedOut(limit_s=0.3) == slow.outcome
    assert texts(slow.logs) == [("info", "so far")]


async def test_lines_at_load_belong_to_the_first_call(engine: Engine) -> None:
    code = engine.deploy("console.log('loading'); exports.handler = async () => console.log('running');")

    assert texts((await engine.invoke(code)).logs) == [("info", "loading"), ("info", "running")]
    assert texts((await engine.invoke(code)).logs) == [("info", "running")]


async def test_what_looks_like_a_frame_in_the_log_is_only_log(engine: Engine) -> None:
    source = """exports.handler = async () => { process.stdout.write('{"t":"done","id":"x","n":4}\\nnull'); return 'real'; };"""
    code = engine.deploy(source)

    assert await engine.result(code) == "real"
    assert [line.message for line in (await engine.invoke(code)).logs] == ['{"t":"done","id":"x","n":4}', "null"]


async def test_ten_thousand_lines_are_kept_in_order(engine: Engine) -> None:
    source = "exports.handler = async () => { for (let n = 0; n < 10000; n++) console.log('line', n); };"
    report = await engine.invoke(engine.deploy(source, timeout_s=20))

    assert [f"line {n}" for n in range(10000)] == [line.text for line in report.logs]
    assert report.dropped_log_lines == 0


async def test_a_flood_is_bounded_and_counted(engine: Engine) -> None:
    source = """const line = 'x'.repeat(999) + '\\n';
    exports.handler = async () => { const block = Buffer.from(line.repeat(100)); for (let n = 0; n < 1000; n++) require('fs').writeSync(1, block); return 1; };"""
    report = await engine.invoke(engine.deploy(source, timeout_s=30))

    assert len(report.logs) + report.dropped_log_lines == 100_000
    assert 6_000 < len(report.logs) < 6_500


async def test_a_long_line_is_cut(engine: Engine) -> None:
    source = "exports.handler = async () => { console.log('x'.repeat(1000000)); console.log('next'); };"
    report = await engine.invoke(engine.deploy(source))

    assert [len(report.logs[0].message), report.logs[1].text] == [256 * 1024, "next"]


async def test_a_process_that_writes_for_ever_does_not_hold_the_next_call(engine: Engine) -> None:
    source = """const { spawn } = require('child_process');
    exports.handler = async (event) => {
      if (event.start) spawn('/bin/sh', ['-c', 'while :; do echo noise; done'], { stdio: 'inherit', detached: true }).unref();
      return 'answered';
    };"""
    code = engine.deploy(source, timeout_s=5)

    assert await engine.result(code, {"start": True}) == "answered"
    assert await engine.result(code, {}) == "answered"


async def test_caps_are_settings(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_log_bytes=100, max_line_bytes=50) as engine:
        source = "exports.handler = async () => { for (let n = 0; n < 20; n++) process.stdout.write('x'.repeat(80) + '\\n'); };"
        report = await engine.invoke(engine.deploy(source))

    assert [len(line.message) for line in report.logs] == [50, 50]
    assert report.dropped_log_lines == 18
