"""``services.blockchain`` against a real Neo N3 node."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.invoker.host_services.addresses import address_to_script_hash, script_hash_to_address
from services.invoker.host_services.blockchain import GAS, NEO, Blockchain
from services.invoker.host_services.errors import BlockchainError, InvalidArgumentError, ServiceUnavailableError
from services.invoker.host_services.neo_rpc import NeoRpc
from tests.support.eventually import eventually
from tests.support.neo_chain import NeoChain, rpc
from tests.support.platform import client_of
from tests.support.proxy import Proxy

NOBODY = f"0x{'12' * 20}"
STD_LIB = "0xacce6fd80d44e1796aa0c2c625e9e4e0ce39efc0"
FRESH = [script_hash_to_address(f"{n:040x}") for n in range(2**150, 2**150 + 4)]
"""Addresses that nobody has used; one for each test that is to use it."""


class Client:
    """Calls methods as a function would."""

    def __init__(self, rpc: NeoRpc | None) -> None:
        self._methods = Blockchain(rpc).methods()

    async def __call__(self, method: str, *arguments: Any) -> Any:
        return await self._methods[method](list(arguments))


@pytest.fixture
async def call(chain: NeoChain) -> AsyncIterator[Client]:
    node = NeoRpc(chain.url, limit_s=10)
    yield Client(node)
    await node.close()


async def test_the_treasury_holds_all_neo_at_genesis(call: Client, chain: NeoChain) -> None:
    for asset in ("NEO", "neo", NEO, f"0x{NEO}", NEO.upper()):
        assert await call("getBalance", {"address": chain.treasury, "asset": asset}) == "100000000"


async def test_a_transfer_arrives_in_whole_tokens(call: Client, chain: NeoChain) -> None:
    to = FRESH[0]
    assert await call("getBalance", {"address": to, "asset": "GAS"}) == "0"
    spent = await asyncio.to_thread(chain.transfer, "GAS", to, "12.5")

    assert await call("getBalance", {"address": to, "asset": "GAS"}) == "12.5"
    assert await call("getBalance", {"address": to, "asset": "NEO"}) == "0"
    assert await call("getBalances", {"address": to}) == [
        {"asset": f"0x{GAS}", "symbol": "GAS", "decimals": 8, "amount": "1250000000", "balance": "12.5"}
    ]
    transaction = await call("getTransaction", spent)
    assert (transaction["hash"], transaction["blockhash"][:2]) == (f"0x{spent}", "0x")
    log = await call("getApplicationLog", f"0x{spent}")
    assert log["executions"][0]["vmstate"] == "HALT"


async def test_an_address_nobody_used_has_nothing(call: Client) -> None:
    assert await call("getBalance", {"address": FRESH[1], "asset": "NEO"}) == "0"
    assert await call("getBalances", {"address": FRESH[1]}) == []


async def test_balances_come_in_one_order_and_add_up(call: Client, chain: NeoChain) -> None:
    balances = await call("getBalances", {"address": chain.treasury})

    assert [each["asset"] for each in balances] == [f"0x{GAS}", f"0x{NEO}"]
    assert balances[1] == {
        "asset": f"0x{NEO}",
        "symbol": "NEO",
        "decimals": 0,
        "amount": "100000000",
        "balance": "100000000",
    }
    for each in balances:
        assert await call("getBalance", {"address": chain.treasury, "asset": each["asset"]}) == each["balance"]


async def test_the_height_is_the_count_less_one(call: Client) -> None:
    height, count, later = await call("getBlockHeight"), await call("getBlockCount"), await call("getBlockHeight")

    assert isinstance(count, int)
    assert height <= count - 1 <= later


async def test_blocks_are_found_by_index_and_by_hash(call: Client, chain: NeoChain) -> None:
    first = await call("getBlock", 0)

    assert (first["index"], first["nextconsensus"]) == (0, chain.treasury)
    assert first["hash"] == (await call("getBlock", first["hash"]))["hash"]
    assert first["hash"] == (await call("getBlock", first["hash"].removeprefix("0x").upper()))["hash"]


async def test_storage_is_read_by_contract_and_key(call: Client, chain: NeoChain) -> None:
    # Total supply, as NeoToken and GasToken keep it.
    assert base64.b64decode(await call("getStorage", NEO, "Cw==")) == (100_000_000).to_bytes(4, "little")
    with pytest.raises(BlockchainError, match="Unknown storage item") as caught:
        await call("getStorage", "GAS", "AAAA")
    assert caught.value.fields == {"rpcCode": -104}


async def test_a_contract_is_read_with_arguments_of_every_kind(call: Client) -> None:
    ran = await call("invokeRead", {"contract": NEO, "method": "symbol"})
    assert set(ran) == {"state", "stack", "gasConsumed", "exception"}
    assert (ran["state"], ran["exception"]) == ("HALT", None)
    assert ran["stack"] == [{"type": "ByteString", "value": base64.b64encode(b"NEO").decode()}]
    assert int(ran["gasConsumed"]) > 0

    async def answer(method: str, *arguments: tuple[str, Any]) -> Any:
        given = [{"type": kind, "value": value} for kind, value in arguments]
        ran = await call("invokeRead", {"contract": STD_LIB, "method": method, "args": given})
        (item,) = ran["stack"]
        return base64.b64decode(item["value"]) if item["type"] == "ByteString" else item["value"]

    assert await answer("itoa", ("Integer", 127), ("Integer", 16)) == b"7f"
    assert await answer("itoa", ("Integer", str(2**200)), ("Integer", "10")) == str(2**200).encode()
    assert await answer("strLen", ("String", "grüß")) == "4"
    assert await answer("base64Encode", ("ByteArray", "AQI=")) == b"AQI="
    assert await answer("jsonSerialize", ("Boolean", True)) == b"true"
    nested = [{"type": "Integer", "value": 1}, {"type": "Array", "value": [{"type": "Boolean", "value": False}]}]
    assert await answer("jsonSerialize", ("Array", nested)) == b"[1,[false]]"
    key = "03297033a5449621c119a71f1a9a78d7797d228026d31e14a268333d618730f22e"
    assert await answer("base64Encode", ("PublicKey", key)) == base64.b64encode(bytes.fromhex(key))
    little_endian = bytes.fromhex(address_to_script_hash(FRESH[1]))[::-1]
    for value in (FRESH[1], address_to_script_hash(FRESH[1]), "0x" + address_to_script_hash(FRESH[1])):
        assert await answer("base64Encode", ("Hash160", value)) == base64.b64encode(little_endian)


@pytest.mark.parametrize(
    ("method", "arguments", "told"),
    [
        ("getBalance", {"address": FRESH[1], "asset": NOBODY}, "not found"),
        ("invokeRead", {"contract": NOBODY, "method": "symbol"}, "not found"),
        ("invokeRead", {"contract": NEO, "method": "noSuchMethod"}, "method not found: noSuchMethod/0"),
    ],
)
async def test_a_fault_is_an_error_with_what_the_contract_said(
    call: Client, method: str, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(BlockchainError, match=told) as caught:
        await call(method, arguments)
    assert caught.value.fields["state"] == "FAULT"


@pytest.mark.parametrize(
    ("method", "argument", "told", "code"),
    [
        ("getTransaction", "00" * 32, "Unknown transaction", -103),
        ("getApplicationLog", "0x" + "00" * 32, "Unknown script container", -105),
        ("getBlock", "ab" * 32, "Unknown block", -101),
        ("getBlock", 4_000_000_000, "Unknown height", -109),
    ],
)
async def test_what_the_node_refuses_keeps_its_number(
    call: Client, method: str, argument: object, told: str, code: int
) -> None:
    with pytest.raises(BlockchainError, match=told) as caught:
        await call(method, argument)
    assert caught.value.fields == {"rpcCode": code}


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("getBalance", []), ("getBalance", [None]), ("getBalance", [{}]), ("getBalance", [{"asset": "NEO"}]),
        ("getBalance", [{"address": "NZNos2WqTbu5oCgyfss9kUJgBXJqhuYAak", "asset": "NEO"}]),
        ("getBalance", [{"address": FRESH[1]}]), ("getBalance", [{"address": FRESH[1], "asset": "BTC"}]),
        ("getBalance", [{"address": FRESH[1], "asset": 5}]), ("getBalances", [FRESH[1]]),
        ("getBalances", [{"address": "x"}]),
        ("getBlock", []), ("getBlock", [-1]), ("getBlock", [1.5]), ("getBlock", [True]), ("getBlock", ["12"]),
        ("getTransaction", ["xy"]), ("getTransaction", [5]), ("getApplicationLog", []), ("getStorage", [NEO]),
        ("getStorage", [NEO, "!!"]), ("getStorage", ["NE0", "Cw=="]), ("invokeRead", [{"contract": NEO}]),
        ("invokeRead", [{"contract": NEO, "method": ""}]),
        ("invokeRead", [{"contract": NEO, "method": "symbol", "args": 5}]),
        ("invokeRead", [{"contract": NEO, "method": "symbol", "args": [{"type": "Map", "value": 1}]}]),
    ],
)  # fmt: skip
async def test_arguments_that_cannot_be_are_refused(call: Client, method: str, arguments: list[Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        await call(method, *arguments)


async def test_addresses_agree_with_those_of_another_implementation(chain: NeoChain) -> None:
    for address in (chain.treasury, *FRESH[:2]):
        script_hash = address_to_script_hash(address)
        assert script_hash == chain.neo_go.script_hash_of(address)
        assert address == chain.neo_go.address_of(script_hash)


@pytest.mark.parametrize(
    "method",
    ["getBalance", "getBalances", "getBlockCount", "getBlockHeight", "getBlock", "getTransaction", "getApplicationLog",
     "getStorage", "invokeRead"],
)  # fmt: skip
async def test_without_a_node_nothing_is_invented(method: str) -> None:
    with pytest.raises(ServiceUnavailableError, match="no Neo N3 node is configured"):
        await Client(None)(method, {"address": FRESH[1], "asset": "NEO"})


async def test_a_node_that_is_down_is_said_so_and_one_that_is_back_answers(chain: NeoChain) -> None:
    async with Proxy.of(chain.url) as proxy:
        node = NeoRpc(proxy.url(chain.url), limit_s=5)
        call = Client(node)
        assert await call("getBlockCount") > 0
        proxy.cut()
        with pytest.raises(ServiceUnavailableError, match="cannot be reached"):
            await call("getBlockCount")
        proxy.heal()
        assert await call("getBlockCount") > 0
        await node.close()


async def test_a_node_that_is_slow_is_given_up_in_time(chain: NeoChain) -> None:
    async with Proxy.of(chain.url) as proxy:
        node = NeoRpc(proxy.url(chain.url), limit_s=0.3)
        call = Client(node)
        proxy.stall()
        began = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match=r"within 0\.3 s"):
            await call("getBlockCount")
        assert 0.3 <= time.monotonic() - began < 2
        proxy.heal()
        assert await call("getBlockCount") > 0
        await eventually(lambda: proxy.connections == 1)
        await node.close()


async def test_one_connection_serves_calls_that_come_one_by_one(chain: NeoChain) -> None:
    async with Proxy.of(chain.url) as proxy:
        node = NeoRpc(proxy.url(chain.url), limit_s=5)
        for _ in range(20):
            await node.call("getblockcount")
            assert proxy.connections == 1
        await node.close()
        await eventually(lambda: proxy.connections == 0)


def test_the_chain_is_what_the_contract_says(chain: NeoChain) -> None:
    with client_of(chain.url) as client:
        version = rpc(client, "getversion")

    assert version["protocol"]["addressversion"] == 0x35
    assert version["useragent"] == "/NEO-GO:0.120.0/"
