"""What a Neo function asks of its host, with services made for these tests: the real ones have their own."""

# ruff: noqa: E501 - sources of functions stand on one line
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from services.invoker.host_services.errors import BlockchainError
from services.invoker.host_services.services import HostServices
from services.invoker.sandbox.calls import AT_ONCE, CALL_BYTES, MOST_CALLS
from shared.domain.outcome import Crashed, Raised, Returned, TimedOut
from shared.process.supervise import Supervisor
from tests.integration.engine.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Desk:
    """Services that note who called: each method of ``blockchain`` does something else with its arguments."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.calls = 0
        self.under_way = 0
        self.most_under_way = 0
        self.let_go = asyncio.Event()
        methods = {
            "getBlock": self.echo,
            "getStorage": self.hang,
            "getTransaction": self.refuse,
            "getBalance": self.fail,
        }
        self.services = HostServices(
            {"blockchain": {name: self._noted(act) for name, act in methods.items()}}, supervisor
        )

    def _noted(self, act: Callable[[list[Any]], Awaitable[Any]]) -> Callable[[list[Any]], Awaitable[Any]]:
        async def noted(arguments: list[Any]) -> Any:
            self.calls += 1
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                return await act(arguments)
            finally:
                self.under_way -= 1

        return noted

    async def echo(self, arguments: list[Any]) -> Any:
        await asyncio.sleep(0.001)
        return arguments[0]

    async def hang(self, arguments: list[Any]) -> Any:
        await self.let_go.wait()
        return "let go"

    async def refuse(self, arguments: list[Any]) -> Any:
        raise BlockchainError("Unknown transaction", rpcCode=-103)

    async def fail(self, arguments: list[Any]) -> Any:
        raise RuntimeError("inner workings")


@pytest_asyncio.fixture(loop_scope="session")
async def desk() -> AsyncIterator[Desk]:
    async with Supervisor() as supervisor:
        made = Desk(supervisor)
        yield made
        assert made.under_way == 0
        assert supervisor.running() == []


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    return shared_engine


async def run(engine: Engine, desk: Desk, source: str, **options: Any) -> Any:
    code = engine.deploy(source, runtime="node18", convention="neo", **options)
    outcome = (await engine.invoke(code, {}, services=desk.services)).outcome
    assert isinstance(outcome, Returned), outcome
    return outcome.result.decode()


async def test_an_answer_is_a_value_of_the_authors_own_realm(engine: Engine, desk: Desk) -> None:
    source = """
    module.exports = async ({ services }) => {
      const promise = services.blockchain.getBlock({ a: [1, 'ü'] });
      const value = await promise;
      return [promise instanceof Promise, value instanceof Object, value.a instanceof Array, value];
    };"""

    assert await run(engine, desk, source) == '[true,true,true,{"a":[1,"ü"]}]'


async def test_a_refusal_is_an_error_of_that_realm_that_shows_the_authors_line(engine: Engine, desk: Desk) -> None:
    source = """module.exports = async ({ services }) => {
      try {
        await services.blockchain.getTransaction('00');
      } catch (error) {
        return [error instanceof Error, error.name, error.code, error.rpcCode, error.message, Object.keys(error), error.stack.split('\\n').slice(0, 2)];
      }
    };"""
    told = await run(engine, desk, source)

    assert told.startswith('[true,"BlockchainError","blockchain_error",-103,"Unknown transaction",["rpcCode","code"],')
    assert '"BlockchainError: Unknown transaction"' in told
    assert "/function/index.js:3" in told


async def test_an_uncaught_refusal_fails_the_run_with_its_name(engine: Engine, desk: Desk) -> None:
    code = engine.deploy(
        "module.exports = ({ services }) => services.blockchain.getTransaction()", runtime="node18", convention="neo"
    )
    outcome = (await engine.invoke(code, {}, services=desk.services)).outcome

    assert isinstance(outcome, Raised)
    assert (outcome.name, outcome.message) == ("BlockchainError", "Unknown transaction")
    assert "/function/index.js:1" in outcome.stack


async def test_a_failure_of_ours_tells_nothing_of_its_inside(engine: Engine, desk: Desk) -> None:
    source = """module.exports = ({ services }) => services.blockchain.getBalance().catch((e) => [e.name, e.code, e.message])"""

    assert (
        await run(engine, desk, source)
        == '["ServiceFailedError","internal_error","the host failed to perform this call"]'
    )


@pytest.mark.parametrize("given", ["1n", "(() => { const a = {}; a.a = a; return a })()", f"'x'.repeat({CALL_BYTES})"])
async def test_arguments_that_cannot_travel_are_refused_before_they_do(engine: Engine, desk: Desk, given: str) -> None:
    source = (
        f"module.exports = ({{ services }}) => services.blockchain.getBlock({given}).catch((e) => [e.name, e.code])"
    )

    assert await run(engine, desk, source) == '["InvalidArgumentError","invalid_argument"]'
    assert desk.calls == 0


@pytest.mark.parametrize("given", ["'\\ud800'", "JSON.parse('['.repeat(3000) + ']'.repeat(3000))"])
async def test_arguments_that_only_javascript_reads_are_refused(engine: Engine, desk: Desk, given: str) -> None:
    source = (
        f"module.exports = ({{ services }}) => services.blockchain.getBlock({given}).catch((e) => [e.name, e.code])"
    )

    assert await run(engine, desk, source) == '["InvalidArgumentError","invalid_argument"]'
    assert desk.calls == 0


async def test_a_run_waits_for_its_answer_with_nothing_else_to_do(engine: Engine, desk: Desk) -> None:
    code = engine.deploy(
        "module.exports = ({ services }) => services.blockchain.getStorage()", runtime="node18", convention="neo"
    )
    asyncio.get_running_loop().call_later(0.3, desk.let_go.set)
    report = await engine.invoke(code, {}, services=desk.services)

    assert Returned(result=b'"let go"', defined=True) == report.outcome


async def test_after_an_answer_a_promise_that_never_settles_is_still_no_success(engine: Engine, desk: Desk) -> None:
    source = "module.exports = async ({ services }) => { await services.blockchain.getBlock(1); await new Promise(() => {}); }"
    code = engine.deploy(source, runtime="node18", convention="neo")

    assert Crashed(exit_code=0) == (await engine.invoke(code, {}, services=desk.services)).outcome


async def test_calls_beyond_those_at_once_wait_their_turn(engine: Engine, desk: Desk) -> None:
    source = """module.exports = async ({ services }) => {
      const numbers = Array.from({ length: 50 }, (_, n) => n);
      const answers = await Promise.all(numbers.map((n) => services.blockchain.getBlock(n)));
      return answers.every((answer, n) => answer === n);
    };"""

    assert await run(engine, desk, source) == "true"
    assert (desk.calls, desk.most_under_way) == (50, AT_ONCE)


async def test_every_run_has_its_own_budget_of_calls(engine: Engine, desk: Desk) -> None:
    source = f"""module.exports = async ({{ services }}) => {{
      for (let n = 0; n < {MOST_CALLS}; n += 1) await services.blockchain.getBlock(n);
      return services.blockchain.getBlock(-1).catch((e) => [e instanceof Error, e.name, e.code]);
    }};"""
    code = engine.deploy(source, runtime="node18", convention="neo")

    for runs in (1, 2):
        outcome = (await engine.invoke(code, {}, services=desk.services)).outcome
        assert Returned(result=b'[true,"CallLimitError","call_limit_exceeded"]', defined=True) == outcome
        assert desk.calls == runs * MOST_CALLS


async def test_large_answers_arrive_whole_and_in_order(engine: Engine, desk: Desk) -> None:
    source = """module.exports = async ({ services }) => {
      const texts = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => letter.repeat(1_400_000));
      const answers = await Promise.all(texts.map((text) => services.blockchain.getBlock(text)));
      return answers.every((answer, n) => answer === texts[n]);
    };"""

    assert await run(engine, desk, source) == "true"


async def test_a_run_that_ends_takes_its_calls_with_it_and_leaves_no_answer_to_the_next(
    engine: Engine, desk: Desk
) -> None:
    source = """module.exports = async ({ services, params }) => {
      if (params.first) { services.blockchain.getStorage(); return 'gone'; }
      return services.blockchain.getBlock('mine');
    };"""
    code = engine.deploy(source, runtime="node18", convention="neo", max_workers=1)

    for _ in range(3):
        first = await engine.invoke(code, {"first": True}, services=desk.services)
        assert Returned(result=b'"gone"', defined=True) == first.outcome
        await eventually(lambda: desk.under_way == 0)
        second = await engine.invoke(code, {}, services=desk.services)
        assert Returned(result=b'"mine"', defined=True) == second.outcome


async def test_a_call_that_hangs_ends_with_the_deadline(engine: Engine, desk: Desk) -> None:
    code = engine.deploy(
        "module.exports = ({ services }) => services.blockchain.getStorage()",
        runtime="node18", convention="neo", timeout_s=0.5,
    )  # fmt: skip
    began = time.monotonic()
    report = await engine.invoke(code, {}, services=desk.services)

    assert TimedOut(limit_s=0.5) == report.outcome
    assert time.monotonic() - began < 3
    await eventually(lambda: desk.under_way == 0)


async def test_a_caller_that_gives_up_takes_the_calls_with_it(engine: Engine, desk: Desk) -> None:
    code = engine.deploy(
        "module.exports = ({ services }) => services.blockchain.getStorage()", runtime="node18", convention="neo"
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(engine.invoke(code, {}, services=desk.services))
        await eventually(lambda: desk.under_way == 1)
        task.cancel()

    await eventually(lambda: desk.under_way == 0)


async def test_a_function_may_put_services_of_its_own_in_place_of_ours(engine: Engine, desk: Desk) -> None:
    source = "module.exports = (context) => { context.services = { mine: 1 }; return [context.services, Object.keys(context)]; }"

    assert (
        await run(engine, desk, source)
        == '[{"mine":1},["params","execution","environment","secrets","services","log"]]'
    )


# The rest goes around our runtime: a Lambda function may write to any descriptor it was left.

FRAMES = """
const fs = require('node:fs');
const frame = (id, c, body, more) => {
  const bytes = Buffer.from(body);
  const whole = Buffer.concat([Buffer.from(JSON.stringify({ t: 'call', id, c, n: bytes.length, ...more }) + '\\n'), bytes]);
  for (let at = 0; at < whole.length;) try { at += fs.writeSync(3, whole, at); } catch (e) { if (e.code !== 'EAGAIN') throw e; }
};
const echo = JSON.stringify({ service: 'blockchain', method: 'getBlock', args: [1] });
const hang = JSON.stringify({ service: 'blockchain', method: 'getStorage', args: [] });
const never = new Promise(() => setTimeout(() => {}, 60000));
"""


@pytest.mark.parametrize(
    "hostile",
    [
        "for (let c = 1; c <= 1e6; c += 1) frame(id, c, echo)",
        "for (let c = 1; c <= 1e6; c += 1) frame(id, c, hang)",
        "frame(id, 2, echo)",
        "frame('other', 1, echo)",
        "frame(id, '1', echo)",
        "frame(undefined, 1, echo)",
        "frame(id, 1, '[]')",
        "frame(id, 1, '{}')",
        "frame(id, 1, JSON.stringify({ service: 'blockchain', method: 'getBlock', args: {} }))",
        "frame(id, 1, JSON.stringify({ service: 'blockchain', method: 'close', args: [] }))",
        "frame(id, 1, JSON.stringify({ service: ['blockchain'], method: 'getBlock', args: [] }))",
        f"frame(id, 1, JSON.stringify({{ service: 'blockchain', method: 'getBlock', args: ['x'.repeat({CALL_BYTES})] }}))",
        "frame(id, 1, echo); frame(id, 1, echo)",
        "fs.writeSync(3, Buffer.alloc(100000, 'x'))",
    ],
)
async def test_frames_that_our_runtime_would_not_write_cost_the_process(
    engine: Engine, desk: Desk, hostile: str
) -> None:
    source = f"{FRAMES} exports.handler = (event, {{ awsRequestId: id }}) => {{ try {{ {hostile} }} catch {{}} return never; }};"
    code = engine.deploy(source)
    bystander = engine.deploy(
        "module.exports = ({ services }) => services.blockchain.getBlock('fine')", runtime="node18", convention="neo"
    )
    report = await engine.invoke(code, {}, services=desk.services)

    assert isinstance(report.outcome, Crashed), report.outcome
    assert desk.calls <= MOST_CALLS
    assert desk.most_under_way <= AT_ONCE
    await eventually(lambda: desk.under_way == 0)
    assert (
        Returned(result=b'"fine"', defined=True) == (await engine.invoke(bystander, {}, services=desk.services)).outcome
    )


async def test_a_run_without_services_may_not_call(engine: Engine) -> None:
    source = f"{FRAMES} exports.handler = (event, {{ awsRequestId: id }}) => {{ frame(id, 1, echo); return never; }};"

    assert isinstance((await engine.invoke(engine.deploy(source), {})).outcome, Crashed)


async def test_answers_that_nobody_reads_do_not_pile_up(engine: Engine, desk: Desk) -> None:
    source = f"""{FRAMES}
    const large = JSON.stringify({{ service: 'blockchain', method: 'getBlock', args: ['x'.repeat(1_000_000)] }});
    exports.handler = (event, {{ awsRequestId: id }}) => {{
      for (let c = 1; c <= 200; c += 1) {{ frame(id, c, large); const next = Date.now() + 20; while (Date.now() < next); }}
      return never;
    }};"""
    report = await engine.invoke(engine.deploy(source), {}, services=desk.services)

    assert isinstance(report.outcome, Crashed)
    assert desk.calls == AT_ONCE
