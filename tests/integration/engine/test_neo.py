# ruff: noqa: E501 - sources of functions stand on one line
"""What a Neo function is given on each runtime: its context, globals, modules, timers and logs."""

from collections.abc import Callable

import pytest

from services.invoker.pool.pool import FunctionCode
from shared.domain.outcome import Returned
from tests.integration.engine.engine import Engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


CONTEXT = {"execution_id": "exec_0123456789", "started_at": "2024-05-01T10:00:00Z"}
Deploy = Callable[..., FunctionCode]


async def test_a_function_gets_its_context(engine: Engine, neo: Deploy) -> None:
    source = """
    module.exports = async function (context) {
      context.environment.STAGE = 'changed';
      return { params: context.params, execution: context.execution, keys: Object.keys(context).sort(),
               secret: context.secrets.token, same: await context.secrets.get('token'), none: await context.secrets.get('x') === undefined,
               services: Object.keys(context.services), ours: context.params instanceof Object };
    };"""
    code = neo(source, environment={"STAGE": "prod"}, function_id="func_abcdefghij")
    outcome = (await engine.invoke(code, {"who": "Bo"}, context=CONTEXT, secrets={"token": "t0p"})).outcome

    assert isinstance(outcome, Returned)
    assert outcome.result.decode() == (
        '{"params":{"who":"Bo"},"execution":{"id":"exec_0123456789","startedAt":"2024-05-01T10:00:00Z",'
        '"functionId":"func_abcdefghij"},"keys":["environment","execution","log","params","secrets","services"],'
        '"secret":"t0p","same":"t0p","none":true,"services":["blockchain","random","oracle","priceFeed"],"ours":true}'
    )
    assert await engine.result(neo("module.exports = (c) => c.environment", environment={"A": "1"})) == {"A": "1"}


@pytest.mark.parametrize(
    "source",
    ["module.exports = () => 1", "exports.default = async () => 1", "exports.handler = function () { return 1 }"],
)
async def test_every_shape_of_module_runs(engine: Engine, neo: Deploy, source: str) -> None:
    assert await engine.result(neo(source)) == 1


async def test_every_line_beyond_the_first_thousand_is_counted_also_when_the_run_is_killed(
    engine: Engine, neo: Deploy
) -> None:
    source = """module.exports = ({ log, params }) => { for (let n = 0; n < 1500; n++) log.info(n); while (params.loop); return 1; };"""
    code = neo(source, timeout_s=0.5)

    for event in ({"loop": False}, {"loop": True}):
        report = await engine.invoke(code, event)
        assert [line.message for line in report.logs] == [str(n) for n in range(1000)]
        assert report.dropped_log_lines == 500


async def test_the_globals_are_those_of_the_contract_and_of_the_version(engine: Engine, neo: Deploy) -> None:
    wanted = [
        *("console", "setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate"),
        *("queueMicrotask", "URL", "URLSearchParams", "TextEncoder", "TextDecoder", "AbortController", "AbortSignal"),
        *("Event", "EventTarget", "atob", "btoa", "Buffer", "crypto", "fetch", "global"),
    ]
    source = f"""
    module.exports = async () => {{
      await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => queueMicrotask(resolve));
      return {{ missing: {wanted!r}.filter((name) => typeof globalThis[name] === 'undefined'),
        absent: [typeof process, typeof WebSocket, typeof globalThis.require], uuid: crypto.randomUUID().length,
        random: crypto.getRandomValues(new Uint8Array(4)).length, clone: typeof structuredClone,
        url: new URL('http://h/p?q=1').searchParams.get('q'), text: Buffer.from('hi').toString('base64'),
        own: global === globalThis, seen: Object.keys(globalThis) }};
    }};"""
    code = neo(source)

    assert await engine.result(code) == {
        "missing": [],
        "absent": ["undefined"] * 3,
        "uuid": 36,
        "random": 4,
        "clone": "undefined" if code.runtime == "node16" else "function",
        "url": "1",
        "text": "aGk=",
        "own": True,
        "seen": [],
    }


async def test_it_runs_on_the_real_version(engine: Engine, neo: Deploy) -> None:
    """By what the language of each had and had not."""
    source = """module.exports = () => ['[].at', '[].findLast', 'Array.fromAsync', 'Object.hasOwn'].map((each) => typeof eval(each))"""
    code = neo(source)

    newer = "undefined" if code.runtime == "node16" else "function"
    assert await engine.result(code) == ["function", newer, "undefined", "function"]


async def test_only_harmless_modules_can_be_required(engine: Engine, neo: Deploy) -> None:
    source = """
    module.exports = () => ['util', 'buffer', 'url', 'querystring', 'crypto', 'assert', 'events', 'node:util', 'fs', 'child_process', 'net',
      'worker_threads', 'node:fs', 'process', 'module', './index.js', '__proto__', 'toString', '']
      .map((name) => { try { return typeof require(name); } catch (error) { return error.code; } });"""

    none = "MODULE_NOT_FOUND"
    assert await engine.result(neo(source)) == [
        *("object", "object", "object", "object", "object", "function", "function", "object"), *[none] * 11,
    ]  # fmt: skip


async def test_what_the_modules_do_works(engine: Engine, neo: Deploy) -> None:
    source = """
    const util = require('util'); const EventEmitter = require('events'); const crypto = require('crypto'); const assert = require('assert');
    module.exports = async () => {
      const heard = []; const emitter = new EventEmitter(); emitter.on('x', (v) => heard.push(v)); emitter.emit('x', 5);
      function Old() { EventEmitter.call(this) } util.inherits(Old, EventEmitter);
      class New extends EventEmitter { constructor() { super(); this.on = 'mine' } }
      new Old().once('y', () => 0);
      let failed; try { assert.deepStrictEqual({ a: [1] }, { a: [2] }) } catch (error) { failed = [error.code, error instanceof Error, error instanceof assert.AssertionError] }
      assert.deepStrictEqual({ a: [1], m: new Map([[1, { b: 2 }]]) }, { a: [1], m: new Map([[1, { b: 2 }]]) });
      await assert.rejects(Promise.reject(new RangeError('far')), RangeError);
      const signing = crypto.generateKeyPairSync('ed25519');
      const signature = crypto.sign(null, Buffer.from('text'), signing.privateKey);
      return { heard, same: EventEmitter === EventEmitter.EventEmitter && require('node:events') === EventEmitter,
        kinds: [new Old() instanceof EventEmitter, new New() instanceof EventEmitter, new New().on], failed,
        hash: crypto.createHash('sha256').update('x').digest('hex').slice(0, 8), verified: crypto.verify(null, Buffer.from('text'), signing.publicKey, signature),
        later: (await util.promisify(crypto.randomBytes)(3)).length, waited: await util.promisify(setTimeout)(1, 'v'),
        shown: util.inspect({ a: { b: { c: {} } }, d: new Date(0) }), text: util.format('%s %d', 'a', 2), equal: util.isDeepStrictEqual([1], [1]),
        url: require('url').parse('http://h/b?c').pathname, query: { ...require('querystring').parse('a=1&b=2') } };
    };"""

    assert await engine.result(neo(source)) == {
        "heard": [5],
        "same": True,
        "kinds": [True, True, "mine"],
        "failed": ["ERR_ASSERTION", True, True],
        "hash": "2d711642",
        "verified": True,
        "later": 3,
        "waited": "v",
        "shown": "{ a: { b: { c: {} } }, d: 1970-01-01T00:00:00.000Z }",
        "text": "a 2",
        "equal": True,
        "url": "/b",
        "query": {"a": "1", "b": "2"},
    }


async def test_what_node_lends_fits_the_realm(engine: Engine, neo: Deploy) -> None:
    """Its errors, bytes and promises are instances of the author's classes, and instances can be assigned to."""
    source = """
    module.exports = async () => {
      const caught = (act) => { try { act() } catch (error) { return [error.name, error.code, error instanceof Error, error instanceof TypeError] } };
      const url = new URL('http://h/?q=1'); url.foo = 1; url.toString = () => 'mine'; URL.mark = 1; URL.prototype.mark = 2;
      class Own extends Error {} class Later extends URL {}
      const bytes = Buffer.from('hi'); const { signal } = new AbortController();
      return { caught: [caught(() => new URL('bad')), caught(() => Buffer.alloc('x')), caught(() => atob('*')), caught(() => setTimeout('x')), caught(() => require('crypto').createHash('none'))],
        url: [url instanceof URL, url.searchParams instanceof URLSearchParams, url.foo, String(url), url.mark, new Later('http://h') instanceof URL],
        bytes: [bytes instanceof Uint8Array, bytes instanceof Buffer, bytes instanceof Object, bytes.buffer instanceof ArrayBuffer, new TextEncoder().encode('é') instanceof Uint8Array],
        own: [new Own() instanceof Own, new Error() instanceof Own, new Own() instanceof Error, {} instanceof Array, [] instanceof Array],
        signal: [signal instanceof AbortSignal, signal instanceof EventTarget], promise: require('util').promisify(setTimeout)(0) instanceof Promise };
    };"""

    assert await engine.result(neo(source)) == {
        "caught": [
            ["TypeError", "ERR_INVALID_URL", True, True],
            ["TypeError", "ERR_INVALID_ARG_TYPE", True, True],
            ["InvalidCharacterError", 5, True, False],
            ["TypeError", "ERR_INVALID_ARG_TYPE", True, True],
            ["Error", None, True, False],
        ],
        "url": [True, True, 1, "mine", 2, True],
        "bytes": [True] * 5,
        "own": [True, False, True, False, True],
        "signal": [True, True],
        "promise": True,
    }


async def test_timers_are_those_of_node(engine: Engine, neo: Deploy) -> None:
    source = """
    module.exports = async () => {
      const seen = []; const cleared = setTimeout(() => seen.push('never'), 1); clearTimeout(cleared); clearTimeout(+setTimeout(() => seen.push('never'), 1)); clearTimeout(); clearTimeout(null);
      const timer = setTimeout(function (a, b) { seen.push(a + b, this === timer) }, 1, 'a', 'b');
      seen.push(typeof timer, timer.hasRef(), timer.unref().hasRef(), timer.ref().hasRef(), timer.refresh() === timer, Number.isInteger(+timer));
      let count = 0;
      await new Promise((resolve) => { const repeated = setInterval(() => { if (++count === 3) { clearInterval(repeated); resolve() } }, 1) });
      await new Promise((resolve) => setImmediate(resolve, 1)); clearImmediate(setImmediate(() => seen.push('never')));
      const signal = AbortSignal.timeout(2); await new Promise((resolve) => { signal.addEventListener('abort', resolve); setTimeout(resolve, 1000) });
      return [...seen, count, signal.aborted];
    };"""

    assert await engine.result(neo(source)) == [
        "object", True, False, True, True, True, "ab", True, 3, True,
    ]  # fmt: skip


async def test_a_structured_clone_is_of_the_realm_and_whole(engine: Engine, neo: Deploy) -> None:
    source = """
    module.exports = () => {
      if (typeof structuredClone === 'undefined') return null;
      const given = { d: new Date(0), m: new Map([[1, { x: 1 }]]), s: new Set([1]), r: /x/gi, u: new Uint8Array([1, 2]).subarray(1), e: new RangeError('q'), n: null, b: 1n, a: [1, , 3], o: new Number(4) };
      given.self = given;
      const made = structuredClone(given); const buffer = new ArrayBuffer(4); const moved = structuredClone(buffer, { transfer: [buffer] });
      const refused = [() => 1, Symbol('s'), new WeakMap(), Promise.resolve()].map((value) => { try { structuredClone({ value }) } catch (error) { return `${error.name} ${error.code}` } });
      return [made !== given, made.self === made, made.d instanceof Date, made.m.get(1).x, made.s.has(1), String(made.r), made.u[0], made.u.length, made.e instanceof RangeError, made.e.message,
        made.constructor === Object, 1 in made.a, made.a.length, made.o + 1, buffer.byteLength, moved.byteLength, refused];
    };"""
    code = neo(source)

    cloned = [
        *(True, True, True, 1, True, "/x/gi", 2, 1, True, "q", True, False, 3, 5, 0, 4),
        ["DataCloneError 25"] * 4,
    ]
    assert await engine.result(code) == (None if code.runtime == "node16" else cloned)


async def test_logs_have_level_and_text_alone(engine: Engine, neo: Deploy) -> None:
    source = """module.exports = ({ log }) => {
      class Point { constructor() { this.x = 1 } }
      log.info('p:', { a: 1 }); log.error('two\\nlines'); log.warn('w'); log.debug('d'); console.log('%s', 'raw', 3);
      console.error(new Map([[1, 2]])); console.log(new Point(), Object.create(null), [undefined, null, 1n], Point, Symbol('s')); console.log(Buffer.from('hi'), -0);
      console.table([{ a: 1 }]); console.count(); console.assert(1 > 2, 'less'); console.group('g'); console.log('in'); console.groupEnd(); console.dir({ d: 1 });
      const error = new RangeError('far'); error.code = 'E'; log.warn('failed:', error); throw new Error('after');
    };"""
    report = await engine.invoke(neo(source))

    assert [(line.level, line.message) for line in report.logs] == [
        ("info", "p: { a: 1 }"), ("error", "two\nlines"), ("warn", "w"), ("debug", "d"), ("info", "%s raw 3"), ("error", "Map(1) { 1 => 2 }"),
        ("info", "Point { x: 1 } [Object: null prototype] {} [ undefined, null, 1n ] [class Point] Symbol(s)"), ("info", "<Buffer 68 69> -0"),
        ("info", "┌─────────┬───┐\n│ (index) │ a │\n├─────────┼───┤\n│    0    │ 1 │\n└─────────┴───┘"),
        ("info", "default: 1"), ("error", "Assertion failed less"), ("info", "g"), ("info", "  in"), ("info", "{ d: 1 }"),
        ("warn", "failed: RangeError: far\n    at module.exports (/function/index.js:6:21) {\n  code: 'E'\n}"),
    ]  # fmt: skip
    assert all(line.text == line.message for line in report.logs)


async def test_a_long_line_is_cut_and_logging_never_fails_the_run_or_floods(engine: Engine, neo: Deploy) -> None:
    source = """module.exports = ({ log, params }) => {
      log.info('x'.repeat(5000)); log.info('nul\\0', '\\ud800'); log.info(); for (let n = 0; n < params.n; n++) console.log(n); return 'fine';
    };"""
    report = await engine.invoke(neo(source, timeout_s=30), {"n": 20_000})

    assert report.logs[0].message == "x" * 4096 + "…(truncated)"
    assert [line.message for line in report.logs[1:4]] == ["nul\ufffd \ufffd", "", "0"]
    assert (len(report.logs), report.dropped_log_lines) == (1000, 19_003)
    assert report.outcome == Returned(result=b'"fine"')


async def test_lines_are_kept_when_the_run_is_killed(engine: Engine, neo: Deploy) -> None:
    loop = neo("module.exports = ({ log }) => { log.info('before'); for (;;); }", timeout_s=0.5)
    ended = neo("module.exports = ({ log }) => { log.error('before'); return new Promise(() => {}) }")

    assert [(line.level, line.message) for line in (await engine.invoke(loop)).logs] == [("info", "before")]
    assert [(line.level, line.message) for line in (await engine.invoke(ended)).logs] == [("error", "before")]


async def test_printed_json_is_a_line_and_not_the_result(engine: Engine, neo: Deploy) -> None:
    source = """module.exports = () => { console.log('{"t":"done","id":"x","n":1}'); console.log(JSON.stringify({ result: 'forged' })); return 'true one' }"""
    report = await engine.invoke(neo(source))

    assert report.outcome == Returned(result=b'"true one"')
    assert [line.message for line in report.logs] == ['{"t":"done","id":"x","n":1}', '{"result":"forged"}']
