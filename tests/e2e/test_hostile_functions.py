"""Functions that loop, eat, fork, exit and shout: each ends as its own failure, and nobody else notices."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.apps_processes import with_in_command
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync

NODE_HEAP_HOG = "const kept = []; while (true) kept.push(new Array(1e5).fill(kept.length))"
NODE_BUFFER_HOG = "const kept = []; while (true) kept.push(Buffer.alloc(4 << 20, 1))"
PYTHON_HOG = """
def handler(event, context):
    kept = []
    while True:
        kept.append(bytearray(4 << 20))
"""


def test_a_function_that_loops_for_ever_is_stopped_at_its_limit(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async (e) => { while (e.rawPath === '/loop'); return { statusCode: 200, body: 'fine' } }",
        timeLimit=3,
    )
    began = time.monotonic()

    answer = functions.call(name, "/loop")

    assert 3 <= time.monotonic() - began < 5
    assert (answer.status_code, answer.json()["code"]) == (400, 1406)
    assert answer.json()["runtimeError"]["name"] == "Sandbox.Timedout"
    assert "Task timed out after 3.00 seconds" in answer.json()["runtimeError"]["message"]
    assert functions.call(name, "/next").text == "fine"


def test_a_python_function_that_loops_for_ever_is_stopped_too(functions: Functions) -> None:
    name = functions.create_python("def handler(event, context):\n    while True:\n        pass\n", timeLimit=3)

    answer = functions.call(name)

    assert answer.json()["runtimeError"]["name"] == "Sandbox.Timedout"


@pytest.mark.parametrize(
    "body",
    [
        "while (true);",
        "await new Promise(() => {})",
        "await new Promise(r => setTimeout(r, 60000))",
    ],
)
def test_a_neo_run_over_its_time_fails_as_documented(functions: Functions, body: str) -> None:
    name = functions.create_neo(f"module.exports = async () => {{ {body} }}", timeout=1)
    began = time.monotonic()

    answer = functions.invoke(name)

    assert time.monotonic() - began < 5
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "execution_error"
    assert answer.json()["error"]["details"]["name"] in {"TimeoutError", "RuntimeExitError"}


def test_others_are_answered_while_a_function_loops(functions: Functions, threads: ThreadPoolExecutor) -> None:
    loops = functions.create_neo("module.exports = () => { while (true); }", timeout=2)
    quick = functions.create_neo("module.exports = () => 'quick'")
    functions.invoke(quick)
    looping = threads.submit(functions.invoke, loops)

    slowest = 0.0
    while not looping.done():
        began = time.monotonic()
        assert functions.invoke(quick).json()["data"]["result"] == "quick"
        slowest = max(slowest, time.monotonic() - began)

    assert looping.result().json()["error"]["details"]["name"] == "TimeoutError"
    assert slowest < 1


@pytest.mark.parametrize("hog", [NODE_HEAP_HOG, NODE_BUFFER_HOG], ids=["heap", "buffers"])
def test_a_node_function_that_eats_memory_is_stopped_and_told_so(functions: Functions, hog: str) -> None:
    name = functions.create_node(
        f"exports.handler = async (e) => {{ if (e.rawPath === '/eat') {{ {hog} }} return {{ statusCode: 204 }} }}"
    )

    answer = functions.call(name, "/eat")

    assert (answer.status_code, answer.json()["code"]) == (400, 1406), answer.text
    assert answer.json()["runtimeError"]["name"] == "Runtime.OutOfMemory"
    assert functions.call(name, "/next").status_code == 204


def test_a_python_function_that_eats_memory_is_stopped_and_told_so(functions: Functions) -> None:
    name = functions.create_python(PYTHON_HOG)

    answer = functions.call(name)

    assert (answer.status_code, answer.json()["code"]) == (400, 1406), answer.text
    assert answer.json()["runtimeError"]["name"] in {"Runtime.OutOfMemory", "MemoryError"}


def test_a_neo_function_that_eats_memory_names_the_limit(functions: Functions) -> None:
    name = functions.create_neo(f"module.exports = () => {{ {NODE_HEAP_HOG} }}")

    answer = functions.invoke(name)

    assert answer.status_code == 500
    assert answer.json()["error"]["details"]["name"] == "MemoryLimitError"
    assert "128" in answer.json()["error"]["details"]["message"]


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("process.exit(3)", "exit status 3"),
        ("process.exit(0)", "exit status 0"),
        ("process.kill(process.pid, 'SIGKILL')", "signal: 9"),
        ("process.abort()", "signal: 6"),
    ],
)
def test_a_function_that_exits_is_told_how_it_ended(functions: Functions, code: str, seen: str) -> None:
    name = functions.create_node(
        f"exports.handler = async (e) => {{ if (e.rawPath === '/die') {code}; return {{ statusCode: 204 }} }}"
    )

    answer = functions.call(name, "/die")

    assert (answer.status_code, answer.json()["code"]) == (400, 1406)
    assert answer.json()["runtimeError"]["name"] == "Runtime.ExitError"
    assert seen in answer.json()["runtimeError"]["message"]
    assert functions.call(name, "/next").status_code == 204


def test_children_of_a_function_die_with_its_time(functions: Functions) -> None:
    marker = "tidemill-e2e-orphan-7301"
    name = functions.create_node(
        "const { spawn } = require('child_process');"
        "exports.handler = async () => {"
        f" spawn(process.execPath, ['-e', 'setInterval(() => {{}}, 1000)', '{marker}'],"
        "  { detached: true, stdio: 'ignore' }).unref();"
        " await new Promise(() => setInterval(() => {}, 1000)) }",
        timeLimit=3,
    )

    answer = functions.call(name)

    assert answer.json()["runtimeError"]["name"] == "Sandbox.Timedout"
    eventually_sync(lambda: with_in_command(marker) == [])


def test_a_fork_bomb_stays_in_its_sandbox(functions: Functions) -> None:
    bystander = functions.create_node("exports.handler = async () => ({ statusCode: 204 })")
    bomb = functions.create_python(
        "import os, time\n"
        "def handler(event, context):\n"
        "    forked = 0\n"
        "    try:\n"
        "        for _ in range(2000):\n"
        "            if os.fork() == 0:\n"
        "                time.sleep(60)\n"
        "                os._exit(0)\n"
        "            forked += 1\n"
        "    except OSError:\n"
        "        return {'statusCode': 200, 'body': str(forked)}\n",
        timeLimit=10,
    )

    answer = functions.call(bomb)

    if answer.status_code == 200:
        assert int(answer.text) < 1000
    else:
        assert answer.json()["code"] == 1406
    assert functions.call(bystander).status_code == 204


def test_tmp_can_be_written_and_the_code_cannot(functions: Functions) -> None:
    name = functions.create_node(
        "const fs = require('fs');"
        "exports.handler = async () => {"
        " fs.writeFileSync('/tmp/data', Buffer.alloc(1 << 20, 7));"
        " const tried = path => { try { fs.writeFileSync(path, 'x'); return 'written' } catch (e) { return e.code } };"
        " return { statusCode: 200, body: {"
        "  size: fs.statSync('/tmp/data').size, task: tried(__dirname + '/x'), etc: tried('/etc/x') } } }"
    )

    answer = functions.call(name).json()

    assert answer["size"] == 1 << 20
    assert {answer["task"], answer["etc"]} <= {"EROFS", "EACCES", "ENOENT", "EPERM"}


def test_tmp_is_nobody_elses(functions: Functions) -> None:
    writes = functions.create_python(
        "def handler(event, context):\n    open('/tmp/secret', 'w').write('x')\n    return {'statusCode': 204}\n"
    )
    looks = functions.create_python(
        "import os\ndef handler(event, context):\n    return {'statusCode': 200, 'body': os.listdir('/tmp')}\n"
    )

    assert functions.call(writes).status_code == 204
    assert "secret" not in functions.call(looks).json()


def test_the_host_is_out_of_sight(functions: Functions) -> None:
    name = functions.create_node(
        "const fs = require('fs');"
        "const read = path => { try { return fs.readFileSync(path, 'utf8') } catch (e) { return e.code } };"
        "exports.handler = async () => ({ statusCode: 200, body: {"
        " passwd: read('/etc/shadow'), init: read('/proc/1/environ'), env: Object.keys(process.env),"
        " uid: process.getuid(), processes: fs.readdirSync('/proc').filter(n => /^[0-9]+$/.test(n)).length } })"
    )

    seen = functions.call(name).json()

    assert seen["passwd"] in {"ENOENT", "EACCES"}
    assert "TIDEMILL" not in str(seen["init"])
    assert [variable for variable in seen["env"] if variable.startswith("TIDEMILL")] == []
    assert seen["uid"] != 0
    assert seen["processes"] < 10
