# ruff: noqa: E501 - sources of functions stand on one line
import re

import pytest

from shared.domain.outcome import Raised, Returned
from tests.integration.engine.engine import Engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = async (event) => ({ got: event.who });",
        "exports.handler = (event) => Promise.resolve({ got: event.who });",
        "exports.handler = (event, context, callback) => callback(null, { got: event.who });",
        "exports.handler = (event, context) => context.succeed({ got: event.who });",
        "exports.handler = (e, c, callback) => { setTimeout(() => callback(null, { got: e.who }), 5); };",
    ],
)
async def test_every_style_of_handler_answers(engine: Engine, source: str) -> None:
    assert await engine.result(engine.deploy(source), {"who": "Bo"}) == {"got": "Bo"}


@pytest.mark.parametrize(
    ("files", "handler"),
    [
        ({"build/index.js": "exports.handler = async () => 'nested';"}, "build/index.handler"),
        ({"index.mjs": "export const handler = async () => 'nested';"}, "index.handler"),
        ({"package.json": '{"type":"module"}', "index.js": "export const handler = async () => 'nested';"}, "index.handler"),
        ({"index.cjs": "exports.handler = async () => 'nested';"}, "index.handler"),
        ({"app.js": "exports.a = { b: async () => 'nested' };"}, "app.a.b"),
        ({"lib/index.js": "exports.handler = async () => 'nested';"}, "lib.handler"),
        ({"index.js": "exports.handler = async () => require('./other').say;", "other.js": "exports.say = 'nested';"}, "index.handler"),
    ],
)  # fmt: skip
async def test_handlers_are_found_where_lambda_finds_them(engine: Engine, files: dict[str, str], handler: str) -> None:
    assert await engine.result(engine.deploy(files, handler=handler)) == "nested"


async def test_the_context_is_lambdas(engine: Engine) -> None:
    source = """
    exports.handler = async (event, context) => ({
      ...context, remaining: context.getRemainingTimeInMillis(), env: process.env, cwd: process.cwd(), dir: __dirname });
    """
    code = engine.deploy(source, name="greeter", memory_mb=192, environment={"COLOUR": "green"})

    told = await engine.result(code)

    assert re.fullmatch(r"[0-9a-f-]{36}", told["awsRequestId"])
    assert told["functionName"] == "greeter"
    assert told["memoryLimitInMB"] == "192"
    assert told["invokedFunctionArn"].endswith(":function:greeter")
    assert told["logGroupName"] == "/aws/lambda/greeter"
    assert 4000 < told["remaining"] <= 5000
    assert told["cwd"] == told["dir"] == told["env"]["LAMBDA_TASK_ROOT"] == "/var/task"
    assert told["env"]["COLOUR"] == "green"
    assert told["env"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "192"
    assert told["env"]["_HANDLER"] == "index.handler"
    assert told["env"]["AWS_REGION"]


@pytest.mark.parametrize(
    ("source", "handler", "name", "message"),
    [
        ("exports.handler = async () => { throw new TypeError('bad'); };", "index.handler", "TypeError", "bad"),
        ("exports.handler = () => { throw new RangeError('far'); };", "index.handler", "RangeError", "far"),
        ("exports.handler = async () => { const e = new Error('x'); e.name = 'CONNECTION_ERROR'; throw e; };", "index.handler", "CONNECTION_ERROR", "x"),
        ("exports.handler = async () => { throw 'words'; };", "index.handler", "string", "words"),
        ("exports.handler = async () => { throw 7; };", "index.handler", "number", "7"),
        ("exports.handler = (e, c, callback) => callback(new Error('called'));", "index.handler", "Error", "called"),
        ("exports.handler = async ( => {};", "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("require('absent'); exports.handler = 1;", "index.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'absent'"),
        ("exports.other = async () => 1;", "index.handler", "Runtime.HandlerNotFound", "index.handler is undefined"),
        ("exports.handler = 1;", "index.handler", "Runtime.HandlerNotFound", "index.handler is not a function"),
        ("exports.handler = async () => 1;", "absent.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'absent'"),
        ("exports.handler = async () => 1;", "index", "Runtime.MalformedHandlerName", "Bad handler"),
        ("exports.handler = async () => 1;", "../index.handler", "Runtime.MalformedHandlerName", "'../index.handler'"),
        ("exports.handler = async () => 1n;", "index.handler", "Runtime.MarshalError", "Unable to stringify"),
        ("exports.handler = async () => { const a = {}; a.a = a; return a; };", "index.handler", "Runtime.MarshalError", "Unable to"),
        ("exports.handler = async () => { Promise.reject(new Error('lost')); await new Promise(() => {}); };", "index.handler", "Runtime.UnhandledPromiseRejection", "Error: lost"),
        ("exports.handler = () => { setTimeout(() => { throw new EvalError('later'); }, 1); return new Promise(() => {}); };", "index.handler", "EvalError", "later"),
        ("exports.handler = () => new Promise(() => {});", "index.handler", "Runtime.NodeJsExit", "The event loop is empty"),
        ("throw new URIError('at load');", "index.handler", "URIError", "at load"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_has_lambdas_name(
    engine: Engine, source: str, handler: str, name: str, message: str
) -> None:
    error = await engine.error(engine.deploy(source, handler=handler))

    assert name == error.name
    assert error.message.startswith(message)


async def test_a_stack_names_the_authors_file(engine: Engine) -> None:
    error = await engine.error(engine.deploy("\n\nexports.handler = async () => { null.x; };"))

    assert "/var/task/index.js:3" in error.stack


@pytest.mark.parametrize(("value", "text", "defined"), [
    ("undefined", b"null", False), ("null", b"null", True), ("0", b"0", True), ("''", b'""', True),
    ("false", b"false", True), ("() => 1", b"null", False), ("'\\u00e9\\ud83d\\ude00'", '"\u00e9\U0001f600"'.encode(), True),
])  # fmt: skip
async def test_falsy_and_odd_results_come_back_exactly(engine: Engine, value: str, text: bytes, defined: bool) -> None:
    report = await engine.invoke(engine.deploy(f"exports.handler = async () => ({value});"))

    assert Returned(result=text, defined=defined) == report.outcome


async def test_a_sync_handler_that_never_calls_back_answers_null(engine: Engine) -> None:
    assert await engine.result(engine.deploy("exports.handler = (event, context, callback) => {};")) is None


async def test_a_worker_keeps_its_module_between_calls(engine: Engine) -> None:
    code = engine.deploy("let n = 0; exports.handler = async () => ++n;")

    assert [await engine.result(code) for _ in range(3)] == [1, 2, 3]


async def test_a_function_that_raised_serves_the_next_call(engine: Engine) -> None:
    code = engine.deploy(
        "let n = 0; exports.handler = async (e) => { n++; if (e.fail) throw new Error('no'); return n; };"
    )

    assert (await engine.error(code, {"fail": True})).message == "no"
    assert await engine.result(code, {}) == 2


async def test_after_an_unhandled_rejection_the_next_call_gets_a_new_process(engine: Engine) -> None:
    source = "let n = 0; exports.handler = async (e) => { n++; if (e.fail) { Promise.reject(new Error('x')); await new Promise((r) => setTimeout(r, 50)); } return n; };"
    code = engine.deploy(source)

    assert isinstance((await engine.invoke(code, {"fail": True})).outcome, Raised)
    assert await engine.result(code, {}) == 1


async def test_early_variables_are_there_when_node_starts(engine: Engine) -> None:
    source = "exports.handler = async () => [process.env.NODE_OPTIONS, new Date(0).getTimezoneOffset()];"
    code = engine.deploy(source, environment={"NODE_OPTIONS": "--max-old-space-size=64", "TZ": "Asia/Tokyo"})

    assert await engine.result(code) == ["--max-old-space-size=64", -540]


async def test_es_modules_import_node_and_each_other(engine: Engine) -> None:
    files = {
        "index.mjs": "import fs from 'node:fs'; import { say } from './other.mjs';\n"
        "const top = await Promise.resolve(say); export const handler = async () => [top, typeof fs.readFileSync];",
        "other.mjs": "export const say = 'hello';",
    }

    assert await engine.result(engine.deploy(files)) == ["hello", "function"]
