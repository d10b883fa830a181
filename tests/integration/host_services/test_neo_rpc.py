"""Nodes that answer otherwise than a node should. What a real one says is in ``test_blockchain.py``."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from services.invoker.host_services.blockchain import Blockchain
from services.invoker.host_services.errors import BlockchainError, HostServiceError, ServiceUnavailableError
from services.invoker.host_services.neo_rpc import NeoRpc
from tests.support.web import Site, running_site

HOLDER = "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP"
TOKEN = "ab" * 20
BALANCE = {"address": HOLDER, "asset": TOKEN}


class FakeNode:
    """A server that answers each method with what the test says."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = json.loads(await request.read())
        method, parameters = asked["method"], asked["params"]
        name = parameters[1] if method == "invokefunction" else method
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": self.results[name]})

    def runs(self, method: str, *stack: dict[str, Any]) -> None:
        """Let a contract's method leave this on its stack."""
        self.results[method] = {"state": "HALT", "stack": list(stack), "gasconsumed": "1", "exception": None}


def integer(value: object) -> dict[str, Any]:
    return {"type": "Integer", "value": value}


@pytest.fixture
def fake() -> FakeNode:
    return FakeNode()


@pytest.fixture
async def site(fake: FakeNode) -> AsyncIterator[Site]:
    async with running_site(fake) as running:
        yield running


@pytest.fixture
async def call(site: Site) -> AsyncIterator[Callable[..., Any]]:
    node = NeoRpc(f"http://127.0.0.1:{site.port}", limit_s=5)
    methods = Blockchain(node).methods()

    async def made(method: str, *arguments: Any) -> Any:
        return await methods[method](list(arguments))

    yield made
    await node.close()


async def test_the_decimals_of_a_token_are_asked_for_once(fake: FakeNode, site: Site, call: Callable[..., Any]) -> None:
    fake.runs("balanceOf", integer("123456789012345678901"))
    fake.runs("decimals", integer("18"))

    assert [await call("getBalance", BALANCE) for _ in range(3)] == ["123.456789012345678901"] * 3
    assert len(site.asked) == 4


@pytest.mark.parametrize(
    "stack",
    [[], [integer("x")], [integer(5)], [integer("9" * 81)], [{"type": "ByteString", "value": "AQI="}], [None],
     [integer("1"), integer("2")], None, {}],
)  # fmt: skip
async def test_a_balance_that_is_no_integer_is_not_guessed(
    fake: FakeNode, call: Callable[..., Any], stack: Any
) -> None:
    fake.results["balanceOf"] = {"state": "HALT", "stack": stack}
    with pytest.raises(BlockchainError, match="did not answer with an Integer"):
        await call("getBalance", BALANCE)


@pytest.mark.parametrize("decimals", ["-1", "256", "99999999999"])
async def test_decimals_that_cannot_be_are_refused(fake: FakeNode, call: Callable[..., Any], decimals: str) -> None:
    fake.runs("balanceOf", integer("1"))
    fake.runs("decimals", integer(decimals))
    with pytest.raises(BlockchainError, match="decimals"):
        await call("getBalance", BALANCE)


@pytest.mark.parametrize(
    "ran", [5, None, [], {}, {"state": "FAULT"}, {"state": "FAULT", "exception": None}, {"state": "BREAK", "stack": []}]
)
async def test_a_run_that_did_not_halt_is_an_error(fake: FakeNode, call: Callable[..., Any], ran: Any) -> None:
    fake.results["symbol"] = ran
    with pytest.raises(BlockchainError, match=r"faulted|cannot be read"):
        await call("invokeRead", {"contract": TOKEN, "method": "symbol"})


ODD_BALANCE = {"amount": "x", "decimals": "8", "assethash": "", "symbol": ""}


@pytest.mark.parametrize(
    "balances", [None, 5, {}, {"balance": [{}]}, {"balance": [5]}, {"balance": 5}, {"balance": [ODD_BALANCE]}]
)
async def test_a_list_of_balances_that_is_none_is_an_error(
    fake: FakeNode, call: Callable[..., Any], balances: Any
) -> None:
    fake.results["getnep17balances"] = balances
    with pytest.raises(BlockchainError, match="cannot be read"):
        await call("getBalances", {"address": HOLDER})


async def test_decimals_come_as_text_or_as_a_number(fake: FakeNode, call: Callable[..., Any]) -> None:
    told = {"assethash": "0x01", "symbol": "T", "amount": "15"}
    fake.results["getnep17balances"] = {"balance": [{**told, "decimals": "1"}, {**told, "decimals": 1}]}

    assert [each["balance"] for each in await call("getBalances", {"address": HOLDER})] == ["1.5", "1.5"]


@pytest.mark.parametrize("count", [None, "5", 1.5, {}])
async def test_a_count_that_is_no_number_is_an_error(fake: FakeNode, call: Callable[..., Any], count: Any) -> None:
    fake.results["getblockcount"] = count
    for method in ("getBlockCount", "getBlockHeight"):
        with pytest.raises(BlockchainError, match="cannot be read"):
            await call(method)


async def asked_of(answer: web.Response) -> HostServiceError:
    """Return how a call to a node that answers this fails."""

    async def give(_: web.BaseRequest) -> web.Response:
        return answer

    async with running_site(give) as site:
        node = NeoRpc(f"http://127.0.0.1:{site.port}/", limit_s=5)
        with pytest.raises(HostServiceError) as caught:
            await node.call("getblockcount")
        await node.close()
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"", "HTTP 200 and no JSON-RPC"), (502, b"<html>", "HTTP 502"), (200, b"[]", "no JSON-RPC"),
        (200, b"{}", "no JSON-RPC"), (200, b'"x"', "no JSON-RPC"), (200, b"[" * 5000, "no JSON-RPC"),
        (401, b'{"error": "who are you"}', "HTTP 401"),
        (200, b" " * (5 * 1024 * 1024 + 1), "larger than 5242880 bytes"),
    ],
)  # fmt: skip
async def test_what_is_no_answer_of_a_node_is_no_service(status: int, body: bytes, told: str) -> None:
    failure = await asked_of(web.Response(status=status, body=body))

    assert isinstance(failure, ServiceUnavailableError)
    assert told in str(failure)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    failure = await asked_of(web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}))

    assert isinstance(failure, ServiceUnavailableError)
    assert "compressed" in str(failure)


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        ({"code": -1, "message": "no", "data": "why"}, "no: why", -1),
        ({"code": -1, "message": "no", "data": "no"}, "no", -1),
        ({"code": "x", "message": 5, "data": {}}, "the Neo N3 node refused", None),
        ({}, "the Neo N3 node refused", None),
        ({"message": "x" * 5000}, "x" * 1000, None),
    ],
)
async def test_a_refusal_counts_whatever_its_status(error: dict[str, Any], told: str, code: int | None) -> None:
    failure = await asked_of(web.json_response({"error": error}, status=500))

    assert isinstance(failure, BlockchainError)
    assert (str(failure), failure.fields) == (told, {"rpcCode": code})


async def test_a_user_and_password_in_the_url_are_sent_as_a_header(fake: FakeNode, site: Site) -> None:
    fake.results["getblockcount"] = 7
    node = NeoRpc(f"http://me:p%40ss@127.0.0.1:{site.port}/rpc?key=1", limit_s=5)

    assert await node.call("getblockcount") == 7
    await node.close()
    (asked,) = site.asked
    assert asked.headers["authorization"] == "Basic bWU6cEBzcw=="
    assert asked.headers["host"] == f"127.0.0.1:{site.port}"
    assert asked.path == "/rpc?key=1"
    assert json.loads(asked.body) == {"jsonrpc": "2.0", "id": 1, "method": "getblockcount", "params": []}
