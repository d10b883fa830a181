# ruff: noqa: E501 - sources of functions stand on one line
import re

import pytest

from tests.integration.engine.engine import Engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Return the engine all these tests share."""
    return shared_engine


PY = "python3.11"


async def test_a_handler_answers(engine: Engine) -> None:
    code = engine.deploy("def handler(event, context):\n    return {'got': event['who']}\n", runtime=PY)

    assert await engine.result(code, {"who": "Bo"}) == {"got": "Bo"}


async def test_nested_modules_and_packages_are_found(engine: Engine) -> None:
    files = {
        "app/__init__.py": "",
        "app/main.py": "from app.other import say\nimport yaml_like\ndef handler(e, c): return [say, yaml_like.x]\n",
        "app/other.py": "say = 'hello'\n",
        "yaml_like.py": "x = 1\n",
    }

    assert await engine.result(engine.deploy(files, runtime=PY, handler="app/main.handler")) == ["hello", 1]


async def test_the_context_is_lambdas(engine: Engine) -> None:
    source = """
import os
def handler(event, context):
    return {"id": context.aws_request_id, "name": context.function_name, "memory": context.memory_limit_in_mb,
            "left": context.get_remaining_time_in_millis(), "arn": context.invoked_function_arn,
            "group": context.log_group_name, "env": dict(os.environ), "cwd": os.getcwd(), "file": __file__}
"""
    told = await engine.result(engine.deploy(source, runtime=PY, name="greeter", environment={"COLOUR": "green"}))

    assert re.fullmatch(r"[0-9a-f-]{36}", told["id"])
    assert (told["name"], told["memory"], told["group"]) == ("greeter", "128", "/aws/lambda/greeter")
    assert 4000 < told["left"] <= 5000
    assert told["arn"].endswith(":function:greeter")
    assert told["env"]["COLOUR"] == "green"
    assert told["env"]["AWS_LAMBDA_FUNCTION_NAME"] == "greeter"
    assert (told["cwd"], told["file"]) == ("/var/task", "/var/task/main.py")


@pytest.mark.parametrize(
    ("source", "handler", "name", "message"),
    [
        ("def handler(e, c): return {}['key']", "main.handler", "KeyError", "'key'"),
        ("class Own(Exception): pass\ndef handler(e, c): raise Own('mine')", "main.handler", "Own", "mine"),
        ("import absent", "main.handler", "Runtime.ImportModuleError", "Unable to import module 'main': No module named 'absent'"),
        ("x = 1", "main.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'main'"),
        ("def handler(:", "main.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'main'"),
        ("x = 1", "main", "Runtime.MalformedHandlerName", "Bad handler 'main'"),
        ("x = 1", "absent.handler", "Runtime.ImportModuleError", "Unable to import module 'absent'"),
        ("def handler(e, c): return {1, 2}", "main.handler", "Runtime.MarshalError", "Unable to marshal response: Object of type set"),
        ("def handler(e, c): return float('nan')", "main.handler", "Runtime.MarshalError", "Unable to marshal response"),
        ("raise ValueError('at load')", "main.handler", "ValueError", "at load"),
        ("def handler(e, c): return 'x' * (1 << 40)", "main.handler", "MemoryError", ""),
    ],
)  # fmt: skip
async def test_what_goes_wrong_has_lambdas_name(
    engine: Engine, source: str, handler: str, name: str, message: str
) -> None:
    error = await engine.error(engine.deploy(source, runtime=PY, handler=handler))

    assert name == error.name
    assert error.message.startswith(message)


async def test_a_stack_starts_at_the_authors_code(engine: Engine) -> None:
    error = await engine.error(engine.deploy("def handler(e, c):\n    return e['absent']\n", runtime=PY), {})

    assert error.stack.startswith('Traceback (most recent call last):\n  File "/var/task/main.py", line 2, in handler')
    assert "/runtime/" not in error.stack


async def test_text_that_is_no_unicode_comes_back_as_json(engine: Engine) -> None:
    assert await engine.result(engine.deploy("def handler(e, c): return '\\ud800\u00e9'", runtime=PY)) == "\ud800\u00e9"


async def test_the_standard_library_is_there(engine: Engine) -> None:
    source = "import ssl, sqlite3, hashlib, ctypes, zoneinfo, asyncio, lzma, decimal\ndef handler(e, c): return str(zoneinfo.ZoneInfo('Asia/Tokyo'))"

    assert await engine.result(engine.deploy(source, runtime=PY)) == "Asia/Tokyo"


async def test_a_worker_keeps_its_module_between_calls(engine: Engine) -> None:
    code = engine.deploy("n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n", runtime=PY)

    assert [await engine.result(code) for _ in range(3)] == [1, 2, 3]


async def test_pythonpath_and_time_zone_of_the_function_count(engine: Engine) -> None:
    files = {
        "main.py": "import extra, time\ndef handler(e, c): return [extra.x, time.tzname[0]]",
        "lib/extra.py": "x = 5",
    }
    code = engine.deploy(files, runtime=PY, environment={"PYTHONPATH": "/var/task/lib", "TZ": "Asia/Tokyo"})

    assert await engine.result(code) == [5, "JST"]
