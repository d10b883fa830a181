# ruff: noqa: E501 - sources of functions stand on one line
from typing import Any

import pytest

from services.invoker.pool.pool import FunctionCode
from shared.domain.outcome import Crashed, Raised, Returned
from tests.integration.engine.engine import Engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


CONTEXT = {"execution_id": "exec_0123456789", "started_at": "2024-05-01T10:00:00Z"}


def neo(engine: Engine, source: str, **options: Any) -> FunctionCode:
    return engine.deploy(source, runtime="node18", convention="neo", **options)


async def test_a_function_gets_its_context(engine: Engine) -> None:
    source = """
    module.exports = async function (context) {
      context.environment.STAGE = 'changed';
      return { params: context.params, execution: context.execution, keys: Object.keys(context).sort(),
               secret: context.secrets.token, same: await context.secrets.get('token'), none: await context.secrets.get('x') === undefined,
               services: Object.keys(context.services), ours: context.params instanceof Object };
    };"""
    code = neo(engine, source, environment={"STAGE": "prod"}, function_id="func_abcdefghij")
    outcome = (await engine.invoke(code, {"who": "Bo"}, context=CONTEXT, secrets={"token": "t0p"})).outcome

    assert isinstance(outcome, Returned)
    assert outcome.result.decode() == (
        '{"params":{"who":"Bo"},"execution":{"id":"exec_0123456789","startedAt":"2024-05-01T10:00:00Z",'
        '"functionId":"func_abcdefghij"},"keys":["environment","execution","log","params","secrets","services"],'
        '"secret":"t0p","same":"t0p","none":true,"services":["blockchain","random","oracle","priceFeed"],"ours":true}'
    )
    assert await engine.result(neo(engine, "module.exports = (c) => c.environment", environment={"A": "1"})) == {
        "A": "1"
    }


@pytest.mark.parametrize(
    "source",
    ["module.exports = () => 1", "exports.default = async () => 1", "exports.handler = function () { return 1 }"],
)
async def test_every_shape_of_module_runs(engine: Engine, source: str) -> None:
    assert await engine.result(neo(engine, source)) == 1


async def test_nothing_is_shared_between_runs(engine: Engine) -> None:
    source = """
    let count = 0;
    module.exports = () => {
      count += 1;
      const seen = [count, typeof globalThis.left, [].evil === undefined, JSON.stringify({a: 1}), URL.mark === undefined];
      globalThis.left = 1; Array.prototype.evil = 1; JSON.stringify = () => 'broken'; Object.prototype.toJSON = undefined;
      try { URL.mark = 1; } catch {}
      return seen;
    };"""
    code = neo(engine, source)

    for _ in range(3):
        assert await engine.result(code) == [1, "undefined", True, '{"a":1}', True]


async def test_the_globals_are_those_of_the_contract(engine: Engine) -> None:
    wanted = [
        *("console", "setTimeout", "clearTimeout", "setInterval", "queueMicrotask", "URL", "URLSearchParams"),
        *("TextEncoder", "TextDecoder", "AbortController", "structuredClone", "atob", "btoa", "Buffer", "crypto"),
        "fetch",
    ]
    source = f"""
    module.exports = async () => {{
      await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => queueMicrotask(resolve));
      return {{ missing: {wanted!r}.filter((name) => typeof globalThis[name] === 'undefined'),
        absent: [typeof process, typeof WebSocket], uuid: crypto.randomUUID().length,
        random: crypto.getRandomValues(new Uint8Array(4)).length, clone: structuredClone({{a: [1]}}),
        url: new URL('http://h/p?q=1').searchParams.get('q'), text: Buffer.from('hi').toString('base64') }};
    }};"""

    assert await engine.result(neo(engine, source)) == {
        "missing": [],
        "absent": ["undefined"] * 2,
        "uuid": 36,
        "random": 4,
        "clone": {"a": [1]},
        "url": "1",
        "text": "aGk=",
    }


async def test_only_harmless_modules_can_be_required(engine: Engine) -> None:
    source = """
    module.exports = () => ['util', 'buffer', 'url', 'querystring', 'crypto', 'assert', 'events', 'node:util', 'fs', 'child_process', 'net', 'worker_threads', 'node:fs']
      .filter((name) => { try { require(name); return true; } catch { return false; } });"""

    assert await engine.result(neo(engine, source)) == [
        *("util", "buffer", "url", "querystring", "crypto", "assert", "events", "node:util"),
    ]


@pytest.mark.parametrize(
    ("value", "text", "defined"),
    [("0", b"0", True), ("''", b'""', True), ("false", b"false", True), ("null", b"null", True),
     ("undefined", b"null", False), ("new Date(0)", b'"1970-01-01T00:00:00.000Z"', True), ("NaN", b"null", True)],
)  # fmt: skip
async def test_results_come_back_as_json_would_have_them(
    engine: Engine, value: str, text: bytes, defined: bool
) -> None:
    outcome = (await engine.invoke(neo(engine, f"module.exports = () => ({value})"))).outcome

    assert Returned(result=text, defined=defined) == outcome


@pytest.mark.parametrize("value", ["1n", "(() => { const a = {}; a.a = a; return a })()", "() => 1", "Symbol('x')"])
async def test_what_is_not_json_is_a_type_error(engine: Engine, value: str) -> None:
    assert (await engine.error(neo(engine, f"module.exports = () => ({value})"))).name == "TypeError"


async def test_errors_keep_their_name_and_the_authors_line(engine: Engine) -> None:
    error = await engine.error(neo(engine, "module.exports = async (context) => {\n\n\n  return context.none.x;\n};"))

    assert (error.name, error.message) == ("TypeError", "Cannot read properties of undefined (reading 'x')")
    assert "/function/index.js:4" in error.stack
    thrown = await engine.error(neo(engine, "module.exports = () => { throw 'words' }"))
    assert thrown == Raised(name="Error", message="words")


async def test_a_wrapper_cannot_be_closed_from_inside(engine: Engine) -> None:
    error = await engine.error(neo(engine, "}); globalThis.evil = 1; (function () {"))

    assert error.name == "Runtime.UserCodeSyntaxError"


async def test_a_promise_that_never_settles_is_no_success(engine: Engine) -> None:
    code = neo(engine, "module.exports = () => new Promise(() => {})")

    report = await engine.invoke(code)

    assert Crashed(exit_code=0) == report.outcome
    assert report.timings.handler_ms < 2000


async def test_an_error_in_a_timer_fails_the_run_and_no_other(engine: Engine) -> None:
    source = """module.exports = ({ params }) => params.bad
      ? new Promise(() => setTimeout(() => { throw new RangeError('late') }, 1)) : 'fine';"""
    code = neo(engine, source)

    assert Raised(name="RangeError", message="late").name == (await engine.error(code, {"bad": True})).name
    assert await engine.result(code, {}) == "fine"


async def test_timers_of_a_finished_run_do_not_fire(engine: Engine) -> None:
    source = (
        "module.exports = ({ log }) => { setTimeout(() => log.info('late'), 5); setInterval(() => { throw 1 }, 5); };"
    )
    code = neo(engine, source)
    await engine.invoke(code)

    wait = neo(engine, "module.exports = () => new Promise((resolve) => setTimeout(resolve, 30))")
    await engine.invoke(wait)
    report = await engine.invoke(code)

    assert report.logs == ()
    assert isinstance(report.outcome, Returned)


async def test_every_line_beyond_the_first_thousand_is_counted_also_when_the_run_is_killed(engine: Engine) -> None:
    source = """module.exports = ({ log, params }) => { for (let n = 0; n < 1500; n++) log.info(n); while (params.loop); return 1; };"""
    code = neo(engine, source, timeout_s=0.5)

    for event in ({"loop": False}, {"loop": True}):
        report = await engine.invoke(code, event)
        assert [line.message for line in report.logs] == [str(n) for n in range(1000)]
        assert report.dropped_log_lines == 500


async def test_logs_have_level_and_text_alone(engine: Engine) -> None:
    source = """module.exports = ({ log }) => {
      log.info('p:', { a: 1 }); log.error('two\\nlines'); log.warn('w'); log.debug('d'); console.log('%s', 'raw', 3);
      console.error(new Map([[1, 2]])); throw new Error('after');
    };"""
    report = await engine.invoke(neo(engine, source))

    assert [(line.level, line.message) for line in report.logs] == [("info", "p: { a: 1 }"), ("error", "two\nlines"), ("warn", "w"), ("debug", "d"), ("info", "%s raw 3"),
            ("error", "Map(1) { 1 => 2 }")]  # fmt: skip
    assert all(line.text == line.message for line in report.logs)
