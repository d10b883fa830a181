# ruff: noqa: E501 - sources of functions stand on one line
"""How a Neo run ends, and in which words: results, errors, and what is left when it has been answered."""

import json
from collections.abc import Callable

import pytest

from services.invoker.pool.pool import FunctionCode
from shared.domain.outcome import Crashed, OutOfMemory, Oversized, Raised, Returned, TimedOut
from tests.integration.engine.engine import Engine

pytestmark = pytest.mark.asyncio(loop_scope="session")

Deploy = Callable[..., FunctionCode]


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


@pytest.fixture(scope="session")
def told(neo: Deploy) -> FunctionCode:
    """A function that does what it is told: one for all of a runtime's cases."""
    return neo("module.exports = async ({ params }) => (0, eval)(`(${params.value})`)", name="told")


@pytest.fixture(scope="session")
def thrower(neo: Deploy) -> FunctionCode:
    """A function that throws what it is told."""
    return neo("module.exports = async ({ params }) => { throw (0, eval)(`(${params.value})`) }", name="thrower")


@pytest.mark.parametrize(
    ("value", "text", "defined"),
    [
        ("0", "0", True), ("''", '""', True), ("false", "false", True), ("null", "null", True), ("undefined", "null", False),
        ("NaN", "null", True), ("-0", "0", True), ("Infinity", "null", True), ("new Date(0)", '"1970-01-01T00:00:00.000Z"', True), ("new Map([[1, 2]])", "{}", True),
        ("[undefined, () => 1, Symbol()]", "[null,null,null]", True), ("{ a: undefined, b: () => 1 }", "{}", True),
        ("{ toJSON: () => 'own' }", '"own"', True), ("{ toJSON() {} }", "null", True), ("new Proxy({ a: 1 }, {})", '{"a":1}', True),
        ("(async function* () { yield 1 })()", "{}", True), ("{ then(resolve) { resolve('later') } }", '"later"', True),
        ("new Error('returned')", "{}", True), ("'\\ud800'", '"\\ud800"', True), ("Buffer.from('a')", '{"type":"Buffer","data":[97]}', True),
        ("new URL('http://h/')", '"http://h/"', True), ("Object.create({ inherited: 1 })", "{}", True), ("new String('boxed')", '"boxed"', True),
    ],
)  # fmt: skip
async def test_a_result_is_what_json_would_make_of_it(
    engine: Engine, told: FunctionCode, value: str, text: str, defined: bool
) -> None:
    outcome = (await engine.invoke(told, {"value": value})).outcome

    assert outcome == Returned(result=text.encode(), defined=defined)


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        ("1n", "TypeError", "Do not know how to serialize a BigInt"),
        ("[1n]", "TypeError", "Do not know how to serialize a BigInt"),
        ("(() => { const a = {}; a.a = a; return a })()", "TypeError", "Converting circular structure to JSON"),
        ("() => 1", "TypeError", "A function cannot be a result: it is not JSON"),
        ("Symbol('x')", "TypeError", "A symbol cannot be a result: it is not JSON"),
        ("{ toJSON() { throw new RangeError('own') } }", "RangeError", "own"),
        ("{ get x() { throw new Error('getter') } }", "Error", "getter"),
        ("new Proxy({}, { get() { throw 'words' } })", "Error", "words"),
        ("{ then() { throw new EvalError('then') } }", "EvalError", "then"),
        ("'x'.repeat(2 ** 29)", "RangeError", "Invalid string length"),
    ],
)
async def test_what_cannot_be_a_result_is_an_error_of_the_function(
    engine: Engine, told: FunctionCode, value: str, name: str, message: str
) -> None:
    error = await engine.error(told, {"value": value})

    assert error.name == name
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        ("'words'", "Error", "words"), ("''", "Error", ""), ("null", "Error", "null"), ("undefined", "Error", "undefined"), ("5", "Error", "5"), ("1n", "Error", "1"),
        ("{ a: 1 }", "Error", '{"a":1}'), ("Symbol('s')", "Error", "Symbol(s)"), ("[1]", "Error", "[1]"), ("(() => { const a = {}; a.a = a; return a })()", "Error", "[object Object]"),
        ("{ message: 'm', name: 'Own' }", "Own", "m"), ("Object.assign(new Error('m'), { name: 'Custom' })", "Custom", "m"),
        ("new (class Bad extends Error { constructor(m) { super(m); this.name = 'Bad' } })('m')", "Bad", "m"), ("new Error()", "Error", ""),
        ("new AggregateError([new Error('a')], 'all')", "AggregateError", "all"), ("new RangeError('far', { cause: 1 })", "RangeError", "far"),
        ("Object.defineProperty(new Error('x'), 'message', { get() { throw 1 } })", "Error", "the error cannot be shown"),
        ("Object.defineProperty(new Error('x'), 'stack', { get() { throw 1 } })", "Error", "x"),
        ("Object.defineProperty(new Error('x'), 'name', { value: { toString() { throw 1 } } })", "Error", "x"),
        ("new Proxy({}, { get() { throw 7 } })", "Error", "the error cannot be shown"), ("Object.assign(new Error('x'), { stack: 5 })", "Error", "x"),
        ("new Proxy(new Error('x'), { getPrototypeOf() { throw 1 } })", "Error", "x"), ("new Error('\\ud800 é')", "Error", "\ufffd é"),
    ],
)  # fmt: skip
async def test_whatever_is_thrown_is_told_in_words(
    engine: Engine, thrower: FunctionCode, value: str, name: str, message: str
) -> None:
    error = await engine.error(thrower, {"value": value})

    assert (error.name, error.message) == (name, message)
    assert await engine.error(thrower, {"value": "'next'"}) == Raised(name="Error", message="next")


async def test_an_error_shows_the_authors_frames_alone_with_their_own_positions(engine: Engine, neo: Deploy) -> None:
    source = """const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
async function inner() {
  await sleep(1)
  throw new RangeError('deep')
}
module.exports = async ({ params }) => {
  if (params.sync) return params.none.x
  await inner()
}"""
    code = neo(source)
    error = await engine.error(code, {"sync": True})

    assert (error.name, error.message) == ("TypeError", "Cannot read properties of undefined (reading 'x')")
    assert error.stack.splitlines()[0] == f"TypeError: {error.message}"
    assert [line.split("(")[1] for line in error.stack.splitlines()[1:]] == ["/function/index.js:7:39)"]
    assert (await engine.error(code, {})).stack.splitlines()[1:] == [
        "    at inner (/function/index.js:4:9)",
        "    at async module.exports (/function/index.js:8:3)",
    ]


@pytest.mark.parametrize(
    ("throws", "first"),
    [
        ("throw new TypeError('top')", "/function/index.js:1:7"),
        ("module.exports = () => new Promise(() => setTimeout(() => { throw new TypeError('later') }, 1))", "/function/index.js:1:67"),
        ("module.exports = () => new Promise(() => queueMicrotask(() => { throw new TypeError('soon') }))", "/function/index.js:1:71"),
        ("module.exports = () => new Promise(() => { Promise.reject(new TypeError('nobody')) })", "/function/index.js:1:59"),
        ("module.exports = () => { const e = new (require('events'))(); e.on('x', () => { throw new TypeError('heard') }); e.emit('x') }", "/function/index.js:1:87"),
    ],
)  # fmt: skip
async def test_an_error_is_the_authors_wherever_it_is_thrown(
    engine: Engine, neo: Deploy, throws: str, first: str
) -> None:
    error = await engine.error(neo(throws))

    assert error.name == "TypeError"
    assert first in error.stack.splitlines()[1]
    assert all("/function/index.js" in line or "<anonymous>" in line for line in error.stack.splitlines()[1:])


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("module.exports = 5", "the number 5"), ("module.exports = 'text'", "the string text"), ("module.exports = null", "null"), ("module.exports = [1]", "an array"),
        ("", "an object with nothing in it"), ("exports.main = () => 1; exports.other = 2", "an object with main, other"), ("module.exports = undefined", "undefined"),
    ],
)  # fmt: skip
async def test_an_export_that_is_no_function_is_told_for_what_it_is(
    engine: Engine, neo: Deploy, source: str, what: str
) -> None:
    error = await engine.error(neo(source))

    assert (error.name, error.message) == ("TypeError", f"module.exports is not a function but {what}")


@pytest.mark.parametrize("source", ["}); globalThis.evil = 1; (function () {", "export default () => 1", "const a = ;"])
async def test_what_is_no_module_does_not_load_and_no_path_of_the_host_is_told(
    engine: Engine, neo: Deploy, source: str
) -> None:
    error = await engine.error(neo(source))

    assert error.name == "Runtime.UserCodeSyntaxError"
    assert error.stack.startswith("/function/index.js:1\n")
    assert "/runtime/" not in error.stack


async def test_a_promise_that_never_settles_is_no_success(engine: Engine, neo: Deploy) -> None:
    report = await engine.invoke(neo("module.exports = () => new Promise(() => {})"))

    assert report.outcome == Crashed(exit_code=0)
    assert report.timings.handler_ms < 4000


@pytest.mark.parametrize(
    "source",
    ["for (;;);", "return new Promise((r) => setTimeout(r, 60_000))", "return (async () => { for (;;) await null })()",
     "const spin = () => Promise.resolve().then(spin); return spin()", "return { then() { for (;;); } }", "return { toJSON() { for (;;); } }",
     "throw { get message() { for (;;); } }", "const tick = () => setImmediate(tick); tick(); return new Promise(() => {})"],
)  # fmt: skip
async def test_whatever_takes_too_long_ends_with_its_limit(engine: Engine, neo: Deploy, source: str) -> None:
    report = await engine.invoke(neo(f"module.exports = () => {{ {source} }}", timeout_s=0.4))

    assert report.outcome == TimedOut(limit_s=0.4)


@pytest.mark.parametrize(
    "source", ["const all = []; for (;;) all.push({ a: all.length })", "const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))"]
)  # fmt: skip
async def test_what_takes_too_much_memory_is_told_from_a_crash(engine: Engine, neo: Deploy, source: str) -> None:
    report = await engine.invoke(neo(f"module.exports = () => {{ {source} }}", timeout_s=30))

    assert report.outcome == OutOfMemory(limit_mb=128)


async def test_a_result_beyond_the_limit_is_none(engine: Engine, told: FunctionCode) -> None:
    outcome = (await engine.invoke(told, {"value": "'x'.repeat(7 * 1024 * 1024)"})).outcome

    assert isinstance(outcome, Oversized)
    assert outcome.size_bytes == 7 * 1024 * 1024 + 2
    assert await engine.result(told, {"value": "1"}) == 1


async def test_a_large_result_comes_back_whole(engine: Engine, told: FunctionCode) -> None:
    outcome = (await engine.invoke(told, {"value": "{ text: 'é'.repeat(1_000_000) }"})).outcome

    assert isinstance(outcome, Returned)
    assert json.loads(outcome.result) == {"text": "é" * 1_000_000}
