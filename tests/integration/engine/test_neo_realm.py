# ruff: noqa: E501 - sources of functions stand on one line
"""One Neo run and the next: nothing of the one is there for the other, whatever it did, and whatever it left undone."""

import json
import time
from collections.abc import Callable

import pytest

from services.invoker.pool.pool import FunctionCode
from shared.domain.outcome import Raised, Returned
from tests.integration.engine.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

Deploy = Callable[..., FunctionCode]


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


async def test_globals_prototypes_and_the_module_start_anew(engine: Engine, neo: Deploy) -> None:
    source = """
    let count = 0;
    module.exports = () => {
      count += 1;
      const seen = [count, typeof left, [].evil === undefined, JSON.stringify({ a: 1 }), URL.mark === undefined, Error.stackTraceLimit, typeof Error.prepareStackTrace, typeof setTimeout];
      globalThis.left = 1; Array.prototype.evil = 1; JSON.stringify = () => 'broken'; URL.mark = 1; URL.prototype.mark = 1; Error.stackTraceLimit = 0;
      Error.prepareStackTrace = () => 'evil'; Promise.prototype.then = () => 'evil'; Array.prototype[Symbol.iterator] = null; setTimeout = null; Object.freeze(Object.prototype);
      return seen;
    };"""
    code = neo(source)

    for _ in range(3):
        assert await engine.result(code) == [1, "undefined", True, '{"a":1}', True, 10, "undefined", "function"]


ROOTS = """
    const util = require('util'), Emitter = require('events'), crypto = require('crypto'), assert = require('assert'), url = require('url'), bytes = require('buffer'), query = require('querystring');
    const proto = Object.getPrototypeOf, caught = (act) => { try { act() } catch (error) { return error } };
    const roots = {
      URL, urlPrototype: URL.prototype, urlHost: proto(URL), urlHostPrototype: proto(URL.prototype), search: URLSearchParams.prototype, searchHost: proto(new URL('http://h').searchParams),
      entries: proto(new URLSearchParams('a=1').entries()), Buffer, bufferPrototype: Buffer.prototype, bytes: proto(Buffer.prototype), typed: proto(proto(Buffer.prototype)), chunk: proto(Buffer.alloc(1).buffer),
      encoder: proto(TextEncoder.prototype), target: proto(EventTarget.prototype), event: proto(Event.prototype), signal: proto(new AbortController().signal), AbortSignal: proto(AbortSignal),
      Emitter, emitter: Emitter.prototype, emitterHost: proto(Emitter.prototype), errorMonitor: Emitter.EventEmitter, util, inspect: util.inspect, colors: util.inspect.colors, styles: util.inspect.styles, types: util.types,
      promisify: util.promisify, hostFunction: proto(util.format), hostObject: proto(proto(util.format)), crypto, constants: crypto.constants, hash: proto(crypto.createHash('md5')), key: proto(crypto.createSecretKey(Buffer.alloc(1))),
      state: proto(crypto.createHash('md5')._readableState), names: proto(crypto.getHashes()), webcrypto: crypto.webcrypto, subtle: crypto.webcrypto.subtle, assert, strict: assert.strict, failure: assert.AssertionError.prototype,
      url, parsed: proto(url.parse('http://h')), module: bytes, query, error: proto(caught(() => new URL('bad'))), range: proto(proto(caught(() => Buffer.alloc(-1)))),
      aborted: (() => { const c = new AbortController(); c.abort(); return c.signal.reason === undefined ? {} : proto(c.signal.reason) })(),
      heard: (() => { let event; const t = new EventTarget(); t.addEventListener('x', (e) => { event = e }); t.dispatchEvent(new Event('x')); return proto(event) })(), listeners: (() => { const t = new EventTarget(); t.addEventListener('x', () => {}); return Object.getOwnPropertySymbols(t).map((s) => t[s]).filter((v) => v instanceof Object).map(proto)[0] ?? {} })(),
      promise: proto(Emitter.once(new Emitter(), 'x')), language: proto(proto(util.format)).constructor,
    };"""


async def test_what_node_lends_is_the_same_in_every_run_whatever_was_done_to_it(engine: Engine, neo: Deploy) -> None:
    source = (
        """module.exports = ({ params }) => {"""
        + ROOTS
        + """
      const found = [];
      for (const [name, object] of Object.entries(roots)) {
        if (object === null || (typeof object !== 'object' && typeof object !== 'function')) { found.push(`${name} is ${object}`); continue; }
        for (const key of Reflect.ownKeys(object)) { const { value } = Object.getOwnPropertyDescriptor(object, key); if (value === 'evil' || key === 'evil') found.push(`${name}.${String(key)}`); }
        if (object.evil !== undefined) found.push(name);
      }
      found.push(Emitter.defaultMaxListeners, new Emitter().getMaxListeners(), util.inspect({ a: { b: { c: { d: 1 } } } }), util.getSystemErrorMap().has('evil'), Emitter.captureRejections);
      const told = JSON.stringify(found);
      const attempts = [(o, k) => { o[k] = 'evil' }, (o, k) => Object.defineProperty(o, k, { value: 'evil' }), (o, k) => Object.defineProperty(o, k, { get: () => 'evil', configurable: true }), (o, k) => { delete o[k] }];
      for (const object of Object.values(roots)) for (const key of ['evil', ...Reflect.ownKeys(object)]) for (const attempt of attempts) try { attempt(object, key) } catch {}
      for (const object of Object.values(roots)) { try { Object.setPrototypeOf(object, { evil: 'evil' }) } catch {} }
      try { Emitter.defaultMaxListeners = 77; Emitter.setMaxListeners(55); Emitter.captureRejections = true; util.inspect.defaultOptions = { depth: 0 }; util.getSystemErrorMap().set('evil', 1) } catch {}
      return told;
    };"""
    )
    code = neo(source)

    clean = [10, 10, "{ a: { b: { c: [Object] } } }", False, False]
    for _ in range(3):
        assert json.loads(await engine.result(code)) == clean


async def test_no_memory_of_one_run_is_seen_by_another(engine: Engine, neo: Deploy) -> None:
    source = """module.exports = () => {
      const text = Buffer.from('a secret of this run'); const fresh = [Buffer.allocUnsafe(4000), Buffer.allocUnsafeSlow(4000), new (require('buffer').SlowBuffer)(4000)];
      const seen = [text.buffer.byteLength, fresh.every((each) => each.every((byte) => byte === 0)), Buffer.concat([text, text]).buffer.byteLength];
      for (const each of fresh) each.fill('secret');
      return seen;
    };"""
    code = neo(source)

    for _ in range(3):
        assert await engine.result(code) == [20, True, 40]


async def test_no_constructor_compiles_in_the_realm_of_the_process(engine: Engine, neo: Deploy) -> None:
    source = """module.exports = () => {
      const util = require('util'); const code = 'return typeof process'; const overflow = () => { try { return overflow() } catch (error) { return setTimeout(() => {}, 0) } };
      const deep = (act) => { let found; const down = () => { try { down() } catch (error) { found ??= error; try { act() } catch (other) { found = other } throw error } }; try { down() } catch {} return found };
      let given; util.inspect({ [util.inspect.custom](...all) { given = all; return '' } });
      const ways = [() => globalThis.constructor, () => toString.constructor, () => URL, () => Buffer, () => Object.getPrototypeOf(URL), () => new URL('http://h').searchParams.constructor, () => util.inspect, () => util.promisify,
        () => util.promisify(setTimeout), () => Object.getPrototypeOf(util.promisify(setTimeout)(0)).constructor, () => given[1].stylize, () => given[2], () => setTimeout, () => console.log, () => require, () => fetch,
        () => { try { new URL('bad') } catch (error) { return error.constructor } }, () => deep(() => setTimeout(() => {}, 0)).constructor, () => deep(() => console.log({})).constructor, () => deep(() => new URL('http://h')).constructor,
        () => crypto.randomUUID, () => atob, () => overflow().constructor, () => async () => {}, () => function* () {}, () => async function* () {}];
      return ways.map((way) => { try { const made = way().constructor(code)(); return typeof made === 'string' ? made : 'undefined' } catch (error) { return error.name } });
    };"""
    code = neo(source)

    for _ in range(2):
        # A type error: what was compiled, if anything, is no function of the process.
        assert set(await engine.result(code)) == {"undefined", "EvalError", "TypeError"}


async def test_timers_of_a_run_that_has_ended_do_not_fire(engine: Engine, neo: Deploy) -> None:
    source = "module.exports = ({ log, params }) => { setTimeout(() => log.info('late'), 5); setInterval(() => { throw new Error('late') }, 5); setImmediate(() => log.info('late')); return new Promise((r) => params.wait ? setTimeout(r, 30) : r()) }"
    code = neo(source)
    assert await engine.result(code, {}) is None

    report = await engine.invoke(code, {})

    assert report.logs == ()
    assert isinstance(report.outcome, Returned)


@pytest.mark.parametrize(
    "left",
    [
        "Promise.reject(new Error('late'))", "setTimeout(() => { throw new Error('late') }, 0)",
        "Promise.resolve().then(() => Promise.resolve()).then(() => { console.log('late'); throw new Error('late') })",
        "(async () => { for (let n = 0; n < 100; n++) await null; setTimeout(() => console.log('late'), 1); setInterval(() => {}, 1); console.log('late') })()",
        "require('crypto').pbkdf2('a', 'b', 20_000, 64, 'sha512', () => { console.log('late'); throw new Error('late') })", "require('crypto').randomBytes(8, () => { throw new Error('late') })",
    ],
)  # fmt: skip
async def test_what_a_run_leaves_behind_concerns_no_other(engine: Engine, neo: Deploy, left: str) -> None:
    code = neo(f"module.exports = () => {{ {left}; return 'answer' }}")

    for _ in range(3):
        report = await engine.invoke(code)
        assert (report.outcome, report.logs) == (Returned(result=b'"answer"'), ())


@pytest.mark.parametrize(
    "left",
    [
        "(async () => { for (;;) await null })()", "(async () => { for (let n = 0; n < 50; n++) await null; for (;;); })()", "const spin = () => Promise.resolve().then(spin); spin()",
        "const again = () => require('crypto').randomBytes(8, again); again()",
    ],
)  # fmt: skip
async def test_a_run_that_goes_on_after_its_answer_loses_its_process_and_nothing_else(
    engine: Engine, neo: Deploy, left: str
) -> None:
    code = neo(f"module.exports = ({{ params }}) => {{ if (params.bad) {{ {left} }} return 'answer' }}", timeout_s=5)
    before = engine.pool.stats().ended.get("restless", 0)

    began = time.monotonic()
    assert await engine.result(code, {"bad": True}) == "answer"
    answered = time.monotonic()
    assert await engine.result(code, {}) == "answer"

    assert answered - began < 4
    await eventually(lambda: engine.pool.stats().ended.get("restless", 0) > before)


async def test_an_error_in_a_timer_fails_its_own_run(engine: Engine, neo: Deploy) -> None:
    source = "module.exports = ({ params }) => params.bad ? new Promise(() => setTimeout(() => { throw new RangeError('late') }, 1)) : 'fine'"
    code = neo(source)

    error = await engine.error(code, {"bad": True})

    assert (error.name, error.message) == ("RangeError", "late")
    assert await engine.result(code, {}) == "fine"


async def test_a_worker_serves_run_after_run_and_does_not_grow(engine: Engine, neo: Deploy) -> None:
    source = """
    let count = 0; const held = [];
    module.exports = ({ params, log }) => { count += 1; held.push(new Array(2000).fill(params.n)); log.info({ n: params.n, url: new URL('http://h/') }); return [count, params.n] };"""
    code = neo(source, max_workers=1)
    runs = 1200

    def size() -> int:
        return max(worker.memory_bytes() for worker in engine.pool._assignment.workers() if worker.group.code is code)

    cold = engine.pool.stats().cold_starts
    for n in range(100):
        assert await engine.result(code, {"n": n}) == [1, n]
    early = size()
    for n in range(100, runs):
        assert await engine.result(code, {"n": n}) == [1, n]

    # Where it gets no CPU for half a second a worker that is done looks as if it went on, and is replaced.
    assert engine.pool.stats().cold_starts <= cold + 3
    assert size() < early + 30_000_000, f"{early} bytes after 100 runs, {size()} after {runs}"


async def test_what_a_function_throws_at_the_engine_is_answered_and_the_next_run_is_well(
    engine: Engine, neo: Deploy
) -> None:
    source = """module.exports = ({ params }) => {
      if (params.how === 'exit') process.exit(1);
      if (params.how === 'kill') process.kill(process.pid);
      if (params.how === 'prototype') { Object.prototype.then = (r) => r('hijacked'); return {} }
      if (params.how === 'getter') Object.defineProperty(Object.prototype, 'message', { get() { throw 1 } });
      if (params.how === 'proxy') globalThis.Promise = new Proxy(Promise, { get() { throw new Error('trap') } });
      if (params.how === 'frozen') for (const name of Object.getOwnPropertyNames(globalThis)) try { delete globalThis[name] } catch {}
      if (params.how === 'throw') throw new Error('plain');
      return 'well' };"""
    code = neo(source)

    for how in ("exit", "kill", "prototype", "getter", "proxy", "frozen", "throw"):
        outcome = (await engine.invoke(code, {"how": how})).outcome
        assert isinstance(outcome, Raised | Returned), how
        if how in {"exit", "kill"}:
            assert isinstance(outcome, Raised)
            assert (outcome.name, outcome.message) == ("ReferenceError", "process is not defined")
        assert await engine.result(code, {"how": "not"}) == "well"
