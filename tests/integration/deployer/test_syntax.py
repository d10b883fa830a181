"""Judging sources with a real Node.js: what it says, what it never does, and how it survives hostile text."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from services.deployer.settings import find_node
from services.deployer.syntax import SyntaxChecker, SyntaxCheckers
from shared.domain.errors import InvalidCodeError, UnavailableError
from shared.domain.runtime import NODE_FAMILIES, Family
from shared.process.settings import EngineSettings
from tests.support.eventually import eventually

NODES = {family: find_node(EngineSettings(), family) for family in NODE_FAMILIES}
NODE = NODES[Family.NODE]

Start = Callable[..., SyntaxChecker]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Checkers, closed when the test ends."""
    async with AsyncExitStack() as stack:

        def started(node: Path = NODE, **bounds: Any) -> SyntaxChecker:
            checker = SyntaxChecker(node, **bounds)
            stack.push_async_callback(checker.close)
            return checker

        yield started


@pytest.fixture
def syntax(start: Start) -> SyntaxChecker:
    return start()


@pytest.fixture(params=NODE_FAMILIES)
def each(request: pytest.FixtureRequest, start: Start) -> SyntaxChecker:
    """A checker of each Node.js."""
    return start(NODES[request.param])


async def fault(syntax: SyntaxChecker, source: str) -> InvalidCodeError:
    with pytest.raises(InvalidCodeError) as caught:
        await syntax.check(source)
    return caught.value


def alive(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    "source",
    [
        "module.exports = async context => context.params",
        "",
        "#!/usr/bin/env node\nmodule.exports = 1",
        "\ufeffmodule.exports = 1",
        "return 5",
        "const { x } = require('./x'); exports.y = () => import('z')",
        "// é 日本 \U0001f600\u2028\nmodule.exports = 1",
        "module.exports = '" + "x" * 100_000 + "'",
    ],
)
async def test_a_commonjs_module_is_accepted(each: SyntaxChecker, source: str) -> None:
    await each.check(source)


async def test_a_syntax_error_is_shown_with_its_line_and_place(each: SyntaxChecker) -> None:
    error = await fault(each, "module.exports = async () => {\n  return {;\n}")

    assert error.message == "Unexpected token ';'"
    assert error.fields == {
        "name": "SyntaxError",
        "line": 2,
        "stack": "/function/index.js:2\n  return {;\n          ^\nSyntaxError: Unexpected token ';'",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("}); x(); (function(){", "Unexpected token '}'"),
        ("}, function () {", "Unexpected token '}'"),
        ("import x from 'x'", "Cannot use import statement outside a module"),
        ("export default async () => 1", "Unexpected token 'export'"),
        ("await 1", "await is only valid in async functions and the top level bodies of modules"),
        ("let exports = 1", "Identifier 'exports' has already been declared"),
        ("const a = `", "Unexpected end of input"),
    ],
)
async def test_what_is_no_body_of_a_commonjs_module_is_refused(each: SyntaxChecker, source: str, message: str) -> None:
    assert (await fault(each, source)).message == message


async def test_a_source_is_judged_by_the_node_it_will_run_on() -> None:
    checkers = SyntaxCheckers(NODES)
    newer = "class Counter { static count = 0; static { Counter.count = 1; } }\nmodule.exports = /[a--b]/v"
    try:
        with pytest.raises(InvalidCodeError) as refused:
            await checkers.check(newer, "node18")
        await checkers.check(newer, "nodejs24.x")
        await checkers.check("class Counter { static { Counter.count = 1; } }", "node16")
        with pytest.raises(InvalidCodeError) as older:
            await checkers.check("module.exports = Object\n  .keys({})\n  .with = /a/v", "node16")
    finally:
        await checkers.close()

    assert refused.value.fields["line"] == 2
    assert str(refused.value.fields["stack"]).startswith("/function/index.js:2\nmodule.exports = /[a--b]/v\n")
    assert older.value.fields["line"] == 3


async def test_a_regular_expression_is_judged_where_its_node_judges_it_before_it_runs(syntax: SyntaxChecker) -> None:
    assert (await fault(syntax, "/(/")).message == "Invalid regular expression: /(/: Unterminated group"


async def test_the_source_is_not_run(syntax: SyntaxChecker) -> None:
    await syntax.check("process.exit(1); while (true) {}")
    pid = syntax.pid

    await syntax.check("module.exports = 1")

    assert syntax.pid == pid


async def test_one_source_does_not_change_the_verdict_on_the_next(syntax: SyntaxChecker) -> None:
    for _ in range(3):
        await syntax.check("const x = 1; var process = null; Object.prototype.y = 1")
        await fault(syntax, "const x = ;")


async def test_a_very_long_line_is_shown_around_the_fault_only(each: SyntaxChecker) -> None:
    error = await fault(each, "x" * 900 + " y" + "z" * 50)

    _, line, caret, _ = str(error.fields["stack"]).split("\n")
    assert len(line) <= 160
    assert line[caret.index("^")] == "y"


async def test_a_fault_too_far_out_for_node_to_point_at_is_shown_without_a_caret(each: SyntaxChecker) -> None:
    error = await fault(each, "x" * 50_000 + " y" + "z" * 50_000)

    assert error.fields["line"] == 1
    assert str(error.fields["stack"]).startswith("/function/index.js:1\nxxxx")
    assert len(str(error.fields["stack"])) < 1500


async def test_a_very_long_message_is_cut(each: SyntaxChecker) -> None:
    name = "a" * 50_000

    error = await fault(each, f"let {name} = 1, {name} = 2")

    assert len(error.message) <= 1000
    assert len(str(error.fields["stack"])) < 2500


async def test_nesting_too_deep_to_parse_is_refused_and_the_process_lives_on(each: SyntaxChecker) -> None:
    error = await fault(each, "[" * 50_000)
    pid = each.pid
    await each.check("module.exports = 1")

    assert error.fields["name"] == "RangeError"
    assert each.pid == pid


async def test_many_sources_at_once_each_get_their_own_verdict(syntax: SyntaxChecker) -> None:
    async def verdict(number: int) -> int:
        try:
            await syntax.check("\n" * number + ("ok" if number % 2 else "}"))
        except InvalidCodeError as error:
            return int(error.fields["line"])
        return 0

    assert await asyncio.gather(*(verdict(number) for number in range(50))) == [
        0 if number % 2 else number + 1 for number in range(50)
    ]


async def test_a_killed_process_is_replaced(syntax: SyntaxChecker) -> None:
    await syntax.check("module.exports = 1")
    first = syntax.pid
    assert first is not None
    os.kill(first, 9)

    await syntax.check("module.exports = 1")

    assert syntax.pid not in {None, first}
    assert not alive(first)


async def test_the_process_is_renewed_after_a_number_of_sources(start: Start) -> None:
    syntax = start(sources_per_process=2)
    pids = []
    for _ in range(4):
        await syntax.check("module.exports = 1")
        pids.append(syntax.pid)
    await syntax.close()

    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert not any(alive(pid) for pid in pids)


async def test_an_idle_process_ends_and_the_next_source_starts_another(start: Start) -> None:
    syntax = start(idle_s=0.05)
    await syntax.check("module.exports = 1")
    pid = syntax.pid

    await eventually(lambda: not alive(pid))

    await syntax.check("module.exports = 1")


async def test_a_process_that_is_stuck_is_killed_and_the_source_judged_by_a_fresh_one(start: Start) -> None:
    syntax = start(deadline_s=2)
    await syntax.check("module.exports = 1")
    stuck = syntax.pid
    assert stuck is not None
    os.kill(stuck, signal.SIGSTOP)

    error = await fault(syntax, "x" * 200_000 + " }")

    assert error.message == "Unexpected token '}'"
    assert not alive(stuck)


async def test_a_source_on_which_two_compilers_give_no_answer_is_refused(start: Start) -> None:
    syntax = start(deadline_s=0)

    error = await fault(syntax, "x" * 5_000_000)

    assert "comes to no end or dies of it" in error.message
    assert error.fields["name"] == "SyntaxError"
    assert syntax.pid is None


@pytest.mark.parametrize(
    ("node", "reason"), [("/bin/true", "the compiler has ended"), ("/no/such/node", "No such file or directory")]
)
async def test_a_compiler_that_does_not_start_is_our_fault_and_the_reason_is_told(
    start: Start, node: str, reason: str
) -> None:
    syntax = start(Path(node))

    with pytest.raises(UnavailableError, match=f"does not start.*{reason}"):
        await syntax.check("module.exports = 1")


async def test_the_process_is_confined(syntax: SyntaxChecker) -> None:
    await syntax.check("module.exports = 1")
    process = Path(f"/proc/{syntax.pid}")

    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    limits = (process / "limits").read_text()
    uid = "19998" if os.geteuid() == 0 else str(os.geteuid())
    assert status["Uid"].split() == [uid] * 4
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == 0 or os.geteuid() != 0
    assert (process / "environ").read_bytes() == b""
    assert re.search(r"Max core file size +0 +0", limits)
    assert re.search(r"Max file size +0 +0", limits)
    assert re.search(r"Max data size +1073741824", limits)


async def test_closing_ends_the_process(start: Start) -> None:
    syntax = start()
    await syntax.check("module.exports = 1")
    pid = syntax.pid

    await syntax.close()

    assert not alive(pid)
