"""What a function prints: all of it, in order, with the call it belongs to, whatever way it was written."""

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.support.builders import Functions
from tests.support.eventually import eventually_sync

RUN_ID = re.compile(r"\t([0-9a-f-]{36})\t")


def logs_of(functions: Functions, name: str, path: str) -> list[str]:
    """Return the log lines of the one call of a path, once they are there."""
    records = [record for record in functions.requests(name) if record["path"] == path]
    assert len(records) == 1
    lines = functions.request_logs(records[0]["id"])
    assert lines
    return [line.rstrip("\n") for line in lines]


def test_ten_thousand_lines_are_all_kept_in_order(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async () => {"
        " for (let n = 0; n < 10000; n++) console.log('line ' + n); return { statusCode: 200, body: 'printed' } }"
    )

    answer = functions.call(name, "/shout")

    assert (answer.status_code, answer.text) == (200, "printed")
    lines = eventually_sync(lambda: logs_of(functions, name, "/shout"), within_s=15)
    assert [line.rpartition("\t")[2] for line in lines] == [f"line {n}" for n in range(10000)]


def test_every_line_of_a_flood_is_stored_or_counted_and_the_reader_is_told(functions: Functions) -> None:
    name = functions.create_node(
        "const fs = require('fs');"
        "exports.handler = async () => {"
        " for (let n = 0; n < 20000; n++) fs.writeSync(1, `${n} ${'x'.repeat(1000)}\\n`);"
        " return { statusCode: 204 } }",
        timeLimit=20,
    )

    assert functions.call(name, "/flood").status_code == 204

    *stored, note = eventually_sync(lambda: told_of(logs_of(functions, name, "/flood")), within_s=15)
    assert [line.split()[0] for line in stored] == [str(n) for n in range(len(stored))]
    said = note.rpartition("\t")[2]
    dropped = int(said.split()[0])
    assert len(stored) + dropped == 20_000
    assert said == f"{dropped} more lines are not shown: {dropped} dropped beyond the limit of one run"


def told_of(lines: list[str]) -> list[str]:
    assert "more lines are not shown" in lines[-1]
    return lines


def test_a_neo_run_keeps_its_first_thousand_lines_and_says_so(functions: Functions) -> None:
    name = functions.create_neo(
        "module.exports = ({ log }) => { for (let n = 0; n < 10000; n++) log.info('line ' + n); return 'printed' }"
    )

    data = functions.invoke(name).json()["data"]

    assert data["result"] == "printed"
    logs = eventually_sync(lambda: functions.execution(name, data["execution"]["id"])["logs"], within_s=15)
    assert [line["message"] for line in logs[:1000]] == [f"line {n}" for n in range(1000)]
    assert [line["level"] for line in logs[1000:]] == ["warn"]
    assert logs[1000]["message"] == "9000 more lines are not shown: 9000 dropped beyond the limit of one run"


def test_a_long_line_of_a_neo_run_is_cut_and_says_so(functions: Functions) -> None:
    name = functions.create_neo("module.exports = ({ log }) => { log.error('x'.repeat(5000)); console.log('y') }")

    data = functions.invoke(name).json()["data"]

    logs = eventually_sync(lambda: functions.execution(name, data["execution"]["id"])["logs"])
    assert [(line["level"], line["message"]) for line in logs] == [
        ("error", "x" * 4096 + "…(truncated)"),
        ("info", "y"),
    ]


def test_levels_are_kept(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async () => {"
        " console.log('a'); console.info('b'); console.warn('c'); console.error('d'); console.debug('e');"
        " return { statusCode: 204 } }"
    )

    functions.call(name, "/levels")

    lines = eventually_sync(lambda: logs_of(functions, name, "/levels"))
    assert [line.split("\t")[2:] for line in lines] == [
        ["INFO", "a"],
        ["INFO", "b"],
        ["WARN", "c"],
        ["ERROR", "d"],
        ["DEBUG", "e"],
    ]


def test_python_prints_and_logs_arrive_with_what_libraries_write(functions: Functions) -> None:
    name = functions.create_python(
        "import logging, os, sys\n"
        "def handler(event, context):\n"
        "    print('printed')\n"
        "    logging.getLogger().warning('warned')\n"
        "    os.write(1, b'raw out\\n')\n"
        "    os.write(2, b'raw err')\n"
        "    return {'statusCode': 204}\n"
    )

    functions.call(name, "/python")

    lines = eventually_sync(lambda: logs_of(functions, name, "/python"))
    assert "printed" in lines
    assert [line for line in lines if line.startswith("[WARNING]") and line.endswith("\twarned")]
    assert "raw out" in lines
    assert "raw err" in lines


def test_raw_writes_binary_and_half_lines_are_lines_too(functions: Functions) -> None:
    name = functions.create_node(
        "const fs = require('fs');"
        "exports.handler = async () => {"
        " fs.writeSync(1, 'to stdout\\n'); fs.writeSync(2, 'to stderr\\n');"
        " fs.writeSync(1, Buffer.from([0x61, 0x00, 0xff, 0x62, 0x0a])); process.stdout.write('no newline');"
        " return { statusCode: 204 } }"
    )

    functions.call(name, "/raw")

    lines = eventually_sync(lambda: logs_of(functions, name, "/raw"))
    assert lines == ["to stdout", "to stderr", "a\ufffd\ufffdb", "no newline"]


def test_what_a_function_prints_is_never_its_answer(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async () => {"
        ' console.log(JSON.stringify({ statusCode: 418 })); process.stdout.write(\'{"t":"done"}\\n\');'
        " return { statusCode: 200, body: 'mine' } }"
    )

    assert functions.call(name).text == "mine"
    assert functions.call(name).status_code == 200


def test_logs_survive_a_run_that_fails_or_is_killed(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async (e) => {"
        " console.log('before ' + e.rawPath);"
        " if (e.rawPath === '/throw') throw new Error('x');"
        " if (e.rawPath === '/exit') process.exit(1);"
        " while (true); }",
        timeLimit=3,
    )

    for path in ("/throw", "/exit", "/loop"):
        assert functions.call(name, path).status_code == 400

    for path in ("/throw", "/exit", "/loop"):
        lines = eventually_sync(partial(logs_of, functions, name, path))
        assert f"before {path}" in lines[0]


def test_lines_belong_to_the_call_that_printed_them_under_concurrency(
    functions: Functions, threads: ThreadPoolExecutor
) -> None:
    name = functions.create_node(
        "const fs = require('fs');"
        "exports.handler = async (e) => {"
        " for (let n = 0; n < 5; n++) { console.log(e.rawPath); fs.writeSync(1, e.rawPath + '\\n');"
        "  await new Promise(r => setTimeout(r, 2)) }"
        " return { statusCode: 204 } }"
    )
    calls = [f"/call-{number}" for number in range(40)]

    answers = list(threads.map(lambda path: functions.call(name, path), calls))

    assert [answer.text for answer in answers if answer.status_code != 204] == []
    run_ids = set()
    for path in calls:
        lines = eventually_sync(partial(logs_of, functions, name, path))
        assert len(lines) == 10
        assert {line.rpartition("\t")[2] for line in lines} == {path}
        run_ids |= {match.group(1) for line in lines if (match := RUN_ID.search(line))}
    assert len(run_ids) == 40
