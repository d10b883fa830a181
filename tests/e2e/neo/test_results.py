# ruff: noqa: E501 - sources of functions stand on one line
"""How runs end, in the dialect's words, on both runtimes (contracts/neo.md 3.6; checks 12 to 16)."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.neo.conftest import Account
from tests.support.eventually import eventually_sync

RUNTIMES = pytest.mark.parametrize("runtime", ["node16", "node18"])
TOLD = "module.exports = async ({ params }) => (0, eval)(`(${params.value})`)"
ERRORS = """module.exports = async ({ params }) => { throw (0, eval)(`(${params.value})`) }"""


def failure(answer: httpx.Response) -> dict[str, Any]:
    """Return the details of a failed run; the answer must be one."""
    assert answer.status_code == 500, answer.text
    error = answer.json()["error"]
    assert (answer.json()["success"], error["code"]) == (False, "execution_error")
    assert error["message"] == "An error occurred during function execution"
    assert set(error["details"]) == {"name", "message", "stack", "executionId"}
    assert error["details"]["executionId"] == answer.headers["X-Execution-Id"]
    return dict(error["details"])


@RUNTIMES
def test_results_come_back_exactly(account: Account, runtime: str) -> None:
    name = account.functions.create_neo(TOLD, runtime=runtime)
    cases = {
        "0": 0, "''": "", "false": False, "null": None, "undefined": None, "NaN": None, "[]": [], "{}": {}, "'\\u00fc\\u2028'": "\u00fc\u2028", "1e21": 1e21,
        "new Date(0)": "1970-01-01T00:00:00.000Z", "new Map([[1, 2]])": {}, "[undefined, () => 1]": [None, None], "{ toJSON: () => 'own' }": "own", "Promise.resolve([1])": [1],
    }  # fmt: skip

    for value, expected in cases.items():
        answer = account.functions.invoke(name, {"value": value})
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        assert "result" in data, value
        assert (type(data["result"]), data["result"]) == (type(expected), expected), value
    execution = account.functions.invoke(name, {"value": "0"}).json()["data"]["execution"]["id"]
    assert eventually_sync(lambda: account.functions.execution(name, execution))["result"] == 0


@RUNTIMES
def test_what_is_not_json_is_the_functions_error_and_never_ours(account: Account, runtime: str) -> None:
    name = account.functions.create_neo(TOLD, runtime=runtime)
    cases = {
        "1n": ("TypeError", "Do not know how to serialize a BigInt"), "(() => { const a = {}; a.a = a; return a })()": ("TypeError", "Converting circular structure to JSON"),
        "() => 1": ("TypeError", "A function cannot be a result"), "Symbol('x')": ("TypeError", "A symbol cannot be a result"),
        "{ get x() { throw new RangeError('getter') } }": ("RangeError", "getter"), "{ toJSON() { throw new Error('own') } }": ("Error", "own"),
        "'x'.repeat(2 * 1024 * 1024)": ("ResultTooLargeError", "Result is larger than 1048576 bytes"), "'x'.repeat(8 * 1024 * 1024)": ("ResultTooLargeError", "Result is larger than"),
    }  # fmt: skip

    for value, (kind, message) in cases.items():
        details = failure(account.functions.invoke(name, {"value": value}))
        assert details["name"] == kind, value
        assert details["message"].startswith(message), value
    largest = account.functions.invoke(name, {"value": "'x'.repeat(1024 * 1024 - 2)"})
    assert largest.status_code == 200


@RUNTIMES
def test_what_is_thrown_is_told_with_its_name_and_the_authors_line(account: Account, runtime: str) -> None:
    name = account.functions.create_neo(
        "const deep = (context) => {\n  const nothing = context.none\n\n  return nothing.x\n}\nmodule.exports = async (context) => {\n  await null\n  return deep(context)\n}",
        runtime=runtime,
    )
    details = failure(account.functions.invoke(name))

    assert (details["name"], details["message"]) == ("TypeError", "Cannot read properties of undefined (reading 'x')")
    assert details["stack"].splitlines() == [
        "TypeError: Cannot read properties of undefined (reading 'x')",
        "    at deep (/function/index.js:4:18)",
        "    at module.exports (/function/index.js:8:10)",
    ]
    record = eventually_sync(lambda: account.functions.execution(name, details["executionId"]))
    assert record["status"] == "failed"
    assert record["error"] == {key: details[key] for key in ("name", "message", "stack")}


@RUNTIMES
def test_anything_can_be_thrown(account: Account, runtime: str) -> None:
    name = account.functions.create_neo(ERRORS, runtime=runtime)
    cases = {
        "'words'": ("Error", "words"), "null": ("Error", "null"), "undefined": ("Error", "undefined"), "7": ("Error", "7"), "{ a: 1 }": ("Error", '{"a":1}'), "Symbol('s')": ("Error", "Symbol(s)"),
        "Object.assign(new Error('m'), { name: 'PriceError' })": ("PriceError", "m"), "new (class Own extends TypeError { get name() { return 'Own' } })('m')": ("Own", "m"),
        "{ name: 'Plain', message: 'object' }": ("Plain", "object"), "new Proxy(new Error('x'), { get() { throw 1 } })": ("Error", "the error cannot be shown"),
        "Object.defineProperty(new Error('x'), 'stack', { get() { for (let n = 0; ; n++) if (n > 1e6) throw n } })": ("Error", "x"), "new Error('\\0 and \\ud800')": ("Error", "\0 and \ufffd"),
    }  # fmt: skip

    for value, expected in cases.items():
        details = failure(account.functions.invoke(name, {"value": value}))
        assert (details["name"], details["message"]) == expected, value


@RUNTIMES
def test_an_export_that_is_no_function_is_a_type_error_that_says_what_it_is(account: Account, runtime: str) -> None:
    for code, what in {"module.exports = 42": "the number 42", "exports.main = () => 1": "an object with main"}.items():
        details = failure(account.functions.invoke(account.functions.create_neo(code, runtime=runtime)))

        assert (details["name"], details["message"]) == ("TypeError", f"module.exports is not a function but {what}")


@RUNTIMES
@pytest.mark.parametrize(
    "body",
    ["while (true) {}", "await new Promise((r) => setTimeout(r, 60_000))", "for (;;) await null", "return { then() { for (;;); } }"],
)  # fmt: skip
def test_the_time_limit_ends_a_run_while_others_are_answered(
    account: Account, threads: ThreadPoolExecutor, runtime: str, body: str
) -> None:
    name = account.functions.create_neo(f"module.exports = async () => {{ {body} }}", runtime=runtime, timeout=1)
    other = account.functions.create_neo("module.exports = () => 'quick'", runtime=runtime)
    account.functions.invoke(other)
    began = time.monotonic()

    slow = threads.submit(account.functions.invoke, name)
    delays = []
    while not slow.done():
        asked = time.monotonic()
        assert account.functions.invoke(other).status_code == 200
        delays.append(time.monotonic() - asked)
    details = failure(slow.result())

    assert time.monotonic() - began < 5
    assert (details["name"], details["message"]) == ("TimeoutError", "Function timed out after 1 seconds")
    assert max(delays) < 1


@RUNTIMES
def test_a_run_whose_promise_never_settles_is_told_as_an_early_exit(account: Account, runtime: str) -> None:
    details = failure(
        account.functions.invoke(
            account.functions.create_neo("module.exports = () => new Promise(() => {})", runtime=runtime)
        )
    )

    assert details["name"] == "RuntimeExitError"
    assert "0" in details["message"]


@RUNTIMES
@pytest.mark.parametrize(
    "hog", ["all.push(new Array(1e5).fill(all.length))", "all.push(new Uint8Array(4 << 20).fill(1))", "all.push(Buffer.alloc(4 << 20, 1))"]
)  # fmt: skip
def test_the_memory_limit_is_told_and_others_go_on(account: Account, runtime: str, hog: str) -> None:
    source = f"module.exports = ({{ params }}) => {{ const all = []; while (params.hog) {{ {hog} }} return 'fine' }}"
    name = account.functions.create_neo(source, runtime=runtime, timeout=60)
    other = account.functions.create_neo("module.exports = () => 'well'", runtime=runtime)

    details = failure(account.functions.invoke(name, {"hog": True}))

    assert details["name"] == "MemoryLimitError"
    assert "128 MB" in details["message"]
    for each, expected in ((name, "fine"), (other, "well")):
        assert account.functions.invoke(each, {}).json()["data"]["result"] == expected


@RUNTIMES
def test_an_asynchronous_run_that_fails_says_the_same(account: Account, runtime: str) -> None:
    name = account.functions.create_neo(ERRORS, runtime=runtime)
    value = "Object.assign(new Error('m'), { name: 'PriceError' })"

    accepted = account.functions.invoke(name, {"value": value}, **{"async": True})

    execution = accepted.json()["data"]["execution"]
    assert (accepted.status_code, execution["status"]) == (202, "running")

    def failed() -> dict[str, Any]:
        record = account.functions.execution(name, execution["id"])
        assert record["status"] == "failed"
        return record

    error = eventually_sync(failed, within_s=10)["error"]
    assert (error["name"], error["message"]) == ("PriceError", "m")
