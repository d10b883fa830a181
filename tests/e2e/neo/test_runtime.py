# ruff: noqa: E501 - sources of functions stand on one line
"""What a function is given on each runtime, and what it logs (contracts/neo.md 4; checks 5, 19, 22)."""

import re
from typing import Any

import pytest

from tests.e2e.neo.conftest import Account
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform

RUNTIMES = pytest.mark.parametrize("runtime", ["node16", "node18"])


def result(account: Account, name: str, params: dict[str, Any] | None = None) -> Any:
    answer = account.functions.invoke(name, params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["result"]


def logs(account: Account, name: str, execution_id: str, count: int) -> list[tuple[str, str]]:
    """Return level and text of the lines of a run, once there are so many."""

    def there() -> list[tuple[str, str]]:
        lines = account.functions.execution(name, execution_id)["logs"]
        assert len(lines) == count, lines
        return [(line["level"], line["message"]) for line in lines]

    return eventually_sync(there, within_s=5)


def test_health_tells_the_real_versions_and_needs_no_key(platform: Platform) -> None:
    with platform.anonymous() as anyone:
        runtimes = anyone.get("/v1/health").raise_for_status().json()["data"]["runtimes"]

    assert runtimes == [
        {"name": "node16", "version": "16.20.2", "real": True},
        {"name": "node18", "version": "18.20.8", "real": True},
    ]


def test_each_runtime_is_the_version_it_is_named_for(account: Account) -> None:
    features = "module.exports = () => [typeof structuredClone, typeof [].findLast, typeof [].toSorted]"

    found = {
        runtime: result(account, account.functions.create_neo(features, runtime=runtime))
        for runtime in ("node16", "node18")
    }

    assert found == {
        "node16": ["undefined", "undefined", "undefined"],
        "node18": ["function", "function", "undefined"],
    }


def test_a_function_that_changes_its_runtime_runs_on_the_other(account: Account) -> None:
    name = account.functions.create_neo("module.exports = () => typeof structuredClone", runtime="node16")
    assert result(account, name) == "undefined"

    assert account.neo.put(f"/v1/functions/{name}", json={"runtime": "node18"}).status_code == 200

    assert result(account, name) == "function"


@RUNTIMES
def test_the_context_is_whole(account: Account, runtime: str) -> None:
    source = """module.exports = async (context) => {
      context.environment.A = 'changed'; context.params.list.push('changed');
      return { keys: Object.keys(context).sort(), params: context.params, environment: context.environment, execution: context.execution, secrets: context.secrets,
        none: [await context.secrets.get('x') === undefined, typeof context.services.nothing], assets: Object.keys(context.services.blockchain.assets), log: Object.keys(context.log).sort() } }"""
    name = account.functions.create_neo(source, runtime=runtime, environment={"A": "1", "B": "\u00fc"})

    answer = account.functions.invoke(name, {"list": [1]})

    data = answer.json()["data"]
    assert data["result"]["execution"]["id"] == data["execution"]["id"] == answer.headers["X-Execution-Id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["result"]["execution"]["startedAt"])
    assert data["result"]["execution"]["startedAt"] <= data["execution"]["completedAt"]
    del data["result"]["execution"]
    assert data["result"] == {
        "keys": ["environment", "execution", "log", "params", "secrets", "services"],
        "params": {"list": [1, "changed"]},
        "environment": {"A": "changed", "B": "\u00fc"},
        "secrets": {},
        "none": [True, "undefined"],
        "assets": ["NEO", "GAS"],
        "log": ["debug", "error", "info", "warn"],
    }
    assert account.functions.invoke(name, {"list": []}).json()["data"]["result"]["environment"]["A"] == "changed"
    assert account.neo.get(f"/v1/functions/{name}/environment").json()["data"]["environment"]["A"] == "1"


@RUNTIMES
def test_every_shape_of_module_runs_and_the_globals_are_there(account: Account, runtime: str) -> None:
    body = """{ const each = ['console', 'setTimeout', 'queueMicrotask', 'URL', 'URLSearchParams', 'TextEncoder', 'TextDecoder', 'AbortController', 'atob', 'btoa', 'Buffer', 'crypto'];
      return [each.filter((name) => typeof globalThis[name] === 'undefined'), typeof process, crypto.randomUUID().length, require('crypto').createHash('sha256').update('a').digest('hex').slice(0, 4)] }"""
    shapes = [
        f"module.exports = async function (context) {body}", f"module.exports = () => {body}", f"exports.default = async () => {body}", f"exports.handler = function () {body}",
    ]  # fmt: skip

    for shape in shapes:
        assert result(account, account.functions.create_neo(shape, runtime=runtime)) == [[], "undefined", 36, "ca97"]


@RUNTIMES
@pytest.mark.parametrize(
    ("code", "line", "shown"),
    [
        (
            "module.exports = () => {\n  return {;\n}",
            2,
            "/function/index.js:2\n  return {;\n          ^\nSyntaxError: ",
        ),
        ("}); evil(); (function(){", 1, "/function/index.js:1\n}); evil(); (function(){\n^\nSyntaxError: "),
        ("\nmodule.exports = /[a--b]/v", 2, "/function/index.js:2\nmodule.exports = /[a--b]/v\n"),
        ("import fs from 'fs'", 1, "/function/index.js:1\nimport fs from 'fs'\n^^^^^^\nSyntaxError: "),
    ],
)
def test_what_its_node_cannot_compile_is_refused_with_line_and_caret_and_the_old_code_still_runs(
    account: Account, runtime: str, code: str, line: int, shown: str
) -> None:
    name = account.functions.create_neo("module.exports = () => 'old'", runtime=runtime)
    body = {"name": f"{name}-2", "runtime": runtime, "code": code}

    for refused in (
        account.neo.post("/v1/functions", json=body),
        account.neo.put(f"/v1/functions/{name}", json={"code": code}),
    ):
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (400, "invalid_function_code")
        assert (error["details"]["name"], error["details"]["line"]) == ("SyntaxError", line)
        assert error["message"] == error["details"]["message"]
        assert error["details"]["stack"].startswith(shown)
    assert result(account, name) == "old"


@RUNTIMES
def test_logs_keep_order_level_and_form_and_are_no_result(account: Account, runtime: str) -> None:
    source = """module.exports = ({ log }) => {
      log.info('p:', { a: 1 }); console.log('{"result": "forged"}'); log.warn('w', null, undefined); console.error([1, 'two']); log.debug('line\\nbreak'); console.info(new Map([['k', 1]])); log.error('last');
      return 'the result' }"""
    name = account.functions.create_neo(source, runtime=runtime)

    data = account.functions.invoke(name).json()["data"]

    assert data["result"] == "the result"
    assert logs(account, name, data["execution"]["id"], 7) == [
        ("info", "p: { a: 1 }"), ("info", '{"result": "forged"}'), ("warn", "w null undefined"), ("error", "[ 1, 'two' ]"), ("debug", "line\nbreak"),
        ("info", "Map(1) { 'k' => 1 }"), ("error", "last"),
    ]  # fmt: skip


@RUNTIMES
def test_logs_survive_a_failure_and_a_time_limit(account: Account, runtime: str) -> None:
    source = (
        "module.exports = ({ log, params }) => { log.info('before'); if (params.loop) for (;;); throw new Error('x') }"
    )
    name = account.functions.create_neo(source, runtime=runtime, timeout=1)

    for params in ({"loop": False}, {"loop": True}):
        execution = account.functions.invoke(name, params).json()["error"]["details"]["executionId"]
        assert logs(account, name, execution, 1) == [("info", "before")]


@RUNTIMES
def test_a_million_lines_harm_nobody(account: Account, runtime: str) -> None:
    source = "module.exports = ({ log }) => { for (let n = 0; n < 1e6; n++) log.info('line', n); return 'done' }"
    name = account.functions.create_neo(source, runtime=runtime, timeout=120)

    data = account.functions.invoke(name).json()["data"]

    assert data["result"] == "done"
    lines = logs(account, name, data["execution"]["id"], 1001)
    assert lines[:2] == [("info", "line 0"), ("info", "line 1")]
    assert lines[999] == ("info", "line 999")
    assert lines[1000][0] == "warn"
    assert "999000" in lines[1000][1].replace(",", "").replace(" ", "")


@RUNTIMES
def test_nothing_of_the_host_is_within_reach(account: Account, platform: Platform, runtime: str) -> None:
    """No files, no environment, no other process, no HTTP to this machine."""
    source = """module.exports = async ({ params }) => {
      const tried = (name) => { try { return typeof require(name) } catch (error) { return error.code } };
      const reached = []; for (const url of params.urls) reached.push(await fetch(url).then((r) => r.status, (e) => e.code));
      const compiled = []; for (const from of [globalThis, URL, Buffer, require('util').inspect, (() => { try { new URL('x') } catch (e) { return e } })()]) {
        try { compiled.push(typeof from.constructor.constructor('return process')()) } catch (error) { compiled.push(error.name) } }
      return { modules: ['fs', 'child_process', 'net', 'http', 'worker_threads', 'process', 'os', 'vm', 'module'].map(tried), globals: [typeof process, typeof require.cache, typeof module], reached, compiled } }"""
    name = account.functions.create_neo(source, runtime=runtime)

    urls = [f"{platform.address}/v1/health", "http://127.0.0.1:1/", "https://169.254.169.254/latest/meta-data/"]
    found = result(account, name, {"urls": urls})

    assert found["modules"] == ["MODULE_NOT_FOUND"] * 9
    assert found["globals"] == ["undefined", "undefined", "object"]
    assert set(found["reached"]) <= {"service_unavailable", "not_allowed", "forbidden", "host_not_allowed"}
    assert set(found["compiled"]) <= {"ReferenceError", "EvalError", "TypeError"}
