"""``services.blockchain``, asked by functions."""

# ruff: noqa: E501 - sources of functions stand on one line
import time
from typing import Any

from services.invoker.host_services.addresses import address_to_script_hash, script_hash_to_address
from tests.e2e.neo.conftest import Account
from tests.e2e.neo.host.outside import CAUGHT, Outside, run
from tests.support.neo_chain import NeoChain

FRESH = script_hash_to_address("0123456789abcdef0123456789abcdef01234567")


def test_balances_of_the_treasury_of_a_fresh_address_and_after_a_transfer(account: Account, chain: NeoChain) -> None:
    # The sample of the published page, as it stands there.
    code = """module.exports = async function(context) { const { params, services } = context;
      return services.blockchain.getBalance({ address: params.address, asset: services.blockchain.assets[params.asset] }); };"""
    name = account.functions.create_neo(code)

    def balance(address: str, asset: str) -> Any:
        return account.functions.invoke(name, {"address": address, "asset": asset}).json()["data"]["result"]

    assert balance(chain.treasury, "NEO") == "100000000"
    assert balance(FRESH, "GAS") == "0"
    chain.transfer("GAS", FRESH, "12.5")
    assert balance(FRESH, "GAS") == "12.5"
    assert balance(FRESH, "NEO") == "0"


def test_every_member_of_the_chain_answers(account: Account, chain: NeoChain, runtime: str) -> None:
    told = run(
        account,
        """const { blockchain } = services;
        const block = await blockchain.getBlock(0);
        return {
          assets: blockchain.assets,
          balances: (await blockchain.getBalances({ address: params.treasury })).map((each) => each.symbol).sort(),
          grown: await blockchain.getBlockCount() > await blockchain.getBlockHeight() - 10,
          same: (await blockchain.getBlock(block.hash)).index,
          storage: await blockchain.getStorage('NEO', 'Cw=='),
          read: (await blockchain.invokeRead({ contract: 'GAS', method: 'decimals', args: [] })).stack,
          hash: blockchain.addressToScriptHash(params.treasury),
          there: blockchain.scriptHashToAddress(blockchain.addressToScriptHash(params.treasury)) === params.treasury,
          known: [blockchain.isAddress(params.treasury), blockchain.isAddress('NZNos2WqTbu5oCgyfss9kUJgBXJqhuYAak'), blockchain.isAddress()],
          nothing: await blockchain.getTransaction('00'.repeat(32)).catch((error) => [error.name, error.rpcCode]),
          log: await blockchain.getApplicationLog('00'.repeat(32)).catch((error) => [error.name, error.rpcCode]),
          unknown: typeof services.none,
        };""",
        {"treasury": chain.treasury},
        runtime=runtime,
    )

    assert told == {
        "assets": {
            "NEO": "0xef4073a0f2b305a38ec4050e4d3d28bc40ea63f5",
            "GAS": "0xd2a4cff31913016155e38e474a2c06d08be276cf",
        },
        "balances": ["GAS", "NEO"],
        "grown": True,
        "same": 0,
        "storage": "AOH1BQ==",
        "read": [{"type": "Integer", "value": "8"}],
        "hash": address_to_script_hash(chain.treasury),
        "there": True,
        "known": [True, False, False],
        "nothing": ["BlockchainError", -103],
        "log": ["BlockchainError", -105],
        "unknown": "undefined",
    }


def test_a_bad_address_is_refused_and_can_be_caught(account: Account, runtime: str) -> None:
    bad = "'NZNos2WqTbu5oCgyfss9kUJgBXJqhuYAak'"
    asked = run(
        account,
        f"return services.blockchain.getBalance({{ address: {bad}, asset: 'NEO' }}).catch({CAUGHT});",
        runtime=runtime,
    )
    at_once = run(
        account,
        f"try {{ return services.blockchain.addressToScriptHash({bad}); }} catch (error) {{ return ({CAUGHT})(error); }}",
    )

    for told in (asked, at_once):
        assert (told["ours"], told["name"], told["code"]) == (True, "InvalidArgumentError", "invalid_argument")


def test_an_error_that_is_not_caught_is_the_runs_own_with_the_authors_line(account: Account) -> None:
    code = "module.exports = async ({ services }) => {\n\n  await services.blockchain.invokeRead({ contract: 'NEO', method: 'none' });\n};"
    failed = account.functions.invoke(account.functions.create_neo(code))

    assert failed.status_code == 500
    error = failed.json()["error"]
    assert error["code"] == "execution_error"
    assert error["details"]["name"] == "BlockchainError"
    assert "method not found: none" in error["details"]["message"]
    assert "/function/index.js:3" in error["details"]["stack"]


def test_an_asynchronous_run_has_the_same_services(account: Account, chain: NeoChain) -> None:
    code = "module.exports = ({ services, params }) => services.blockchain.getBalance({ address: params.of, asset: 'NEO' })"
    name = account.functions.create_neo(code)
    started = account.functions.invoke(name, {"of": chain.treasury}, **{"async": True}).json()["data"]["execution"][
        "id"
    ]
    deadline = time.monotonic() + 20
    while (record := account.functions.execution(name, started))["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert record["result"] == "100000000"


def test_a_node_that_is_slow_or_down_is_said_so_and_comes_back(account: Account, outside: Outside) -> None:
    name = account.functions.create_neo(
        f"module.exports = ({{ services }}) => services.blockchain.getBlockCount().catch({CAUGHT})"
    )

    def told() -> Any:
        return account.functions.invoke(name).json()["data"]["result"]

    assert told() > 0
    try:
        outside.do("stall")
        slow = told()
        outside.do("heal")
        outside.do("cut")
        down = told()
    finally:
        outside.do("heal")
    assert told() > 0
    for failed in (slow, down):
        assert (failed["ours"], failed["name"], failed["code"]) == (
            True,
            "ServiceUnavailableError",
            "service_unavailable",
        )
    assert slow["message"] == "the Neo N3 node did not answer within 1 s"
    assert down["message"] == "the Neo N3 node cannot be reached"
