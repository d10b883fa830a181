# ruff: noqa: E501 - sources of functions stand on one line
"""Whatever one run does, only that execution suffers (contracts/neo.md 4; checks 17 and 18)."""

from typing import Any

import pytest

from tests.e2e.neo.conftest import Account

RUNTIMES = pytest.mark.parametrize("runtime", ["node16", "node18"])


def result(account: Account, name: str, params: dict[str, Any] | None = None) -> Any:
    answer = account.functions.invoke(name, params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["result"]


@RUNTIMES
def test_a_module_level_counter_is_always_one(account: Account, runtime: str) -> None:
    name = account.functions.create_neo("let n = 0; module.exports = () => { n += 1; return n }", runtime=runtime)

    assert [result(account, name) for _ in range(12)] == [1] * 12


@RUNTIMES
def test_globals_prototypes_and_lent_classes_start_anew(account: Account, runtime: str) -> None:
    source = """module.exports = () => {
      const util = require('util'), Emitter = require('events');
      const seen = { left: typeof left, array: [].evil, object: {}.evil, json: JSON.stringify({ a: 1 }), url: new URL('http://h').evil, urlClass: URL.evil, buffer: Buffer.alloc(1).evil, util: util.evil, emitter: new Emitter().evil,
        listeners: Emitter.defaultMaxListeners, shown: util.inspect({ a: 1 }), encoder: new TextEncoder().evil, event: new Event('x').evil, prepare: typeof Error.prepareStackTrace, limit: Error.stackTraceLimit, timer: typeof setTimeout, log: typeof console.log };
      const told = JSON.stringify(seen);
      for (const each of [globalThis, Array.prototype, Object.prototype, URL, URL.prototype, Buffer.prototype, util, util.inspect, Emitter, Emitter.prototype, TextEncoder.prototype, Event.prototype]) try { each.evil = 'evil' } catch {}
      globalThis.left = 1; JSON.stringify = () => 'broken'; util.inspect = () => 'broken'; Emitter.defaultMaxListeners = 1; console.log = null; setTimeout = null; Error.stackTraceLimit = 0; Error.prepareStackTrace = () => 'evil';
      return JSON.parse(told) }"""
    name = account.functions.create_neo(source, runtime=runtime)

    for _ in range(4):
        assert result(account, name) == {
            "left": "undefined",
            "json": '{"a":1}',
            "listeners": 10,
            "shown": "{ a: 1 }",
            "prepare": "undefined",
            "limit": 10,
            "timer": "function",
            "log": "function",
        }


@RUNTIMES
@pytest.mark.parametrize(
    ("deed", "kind"),
    [
        ("process.exit()", "ReferenceError"), ("process.kill(process.pid, 9)", "ReferenceError"), ("require('child_process')", "Error"), ("URL.constructor('return process')().exit()", "EvalError"),
        ("globalThis.constructor.constructor('return process')().exit()", "ReferenceError"), ("(() => {}).constructor('while (true);')()", "TimeoutError"), ("null.x", "TypeError"),
        ("(function deep() { deep() })()", "RangeError"), ("'x'.repeat(2 ** 30)", "RangeError"), ("new Array(-1)", "RangeError"), ("throw undefined", "Error"),
        ("return new Promise(() => setTimeout(() => { throw new SyntaxError('late') }, 1))", "SyntaxError"), ("Promise.reject(new EvalError('nobody')); return new Promise((r) => setTimeout(r, 500))", "EvalError"),
        ("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)", "TimeoutError"), ("new WebAssembly.Module(new Uint8Array(4))", "CompileError"),
    ],
)  # fmt: skip
def test_a_deed_costs_the_run_that_does_it_alone(account: Account, runtime: str, deed: str, kind: str) -> None:
    source = f"module.exports = ({{ params }}) => {{ if (params.bad) {{ {deed} }} return 'well' }}"
    name = account.functions.create_neo(source, runtime=runtime, timeout=1)
    assert result(account, name, {}) == "well"

    answer = account.functions.invoke(name, {"bad": True})

    assert answer.status_code == 500, answer.text
    assert (answer.json()["error"]["code"], answer.json()["error"]["details"]["name"]) == ("execution_error", kind)
    assert [result(account, name, {}) for _ in range(2)] == ["well"] * 2


@RUNTIMES
@pytest.mark.parametrize(
    "left",
    [
        "setTimeout(() => { throw new Error('late') }, 1)", "Promise.reject(new Error('late'))", "(async () => { for (;;) await null })()", "(async () => { for (let n = 0; n < 50; n++) await null; for (;;); })()",
        "setInterval(() => console.log('late'), 1)", "require('crypto').pbkdf2('a', 'b', 1e6, 64, 'sha512', () => { throw new Error('late') })",
    ],
)  # fmt: skip
def test_what_is_left_running_after_the_answer_disturbs_no_later_run(account: Account, runtime: str, left: str) -> None:
    source = f"module.exports = ({{ params }}) => {{ if (params.leave) {{ {left} }} return params }}"
    name = account.functions.create_neo(source, runtime=runtime, timeout=5)

    for n in range(3):
        for params in ({"leave": True, "n": n}, {"n": n}):
            assert result(account, name, params) == params


@RUNTIMES
def test_functions_do_not_see_each_other(account: Account, runtime: str) -> None:
    names = [
        account.functions.create_neo(
            f"globalThis.mark = (globalThis.mark ?? '') + '{n}'; module.exports = () => mark", runtime=runtime
        )
        for n in range(3)
    ]

    assert [result(account, name) for name in names * 2] == ["0", "1", "2"] * 2
