"""Where the operator configured nothing, nothing is made up: every service is there and says that it is unavailable."""

# ruff: noqa: E501 - sources of functions stand on one line
from typing import Any

import pytest

from tests.e2e.neo.conftest import Account

CALLS = {
    "a node": "services.blockchain.getBalance({ address: 'NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP', asset: services.blockchain.assets.NEO })",
    "TIDEMILL_ORACLE_HOSTS": "services.oracle.fetch({ url: 'https://example.com/' })",
    "(TIDEMILL_ORACLE_HOSTS)": "fetch('https://example.com/')",
    "TIDEMILL_PRICE_SOURCES": "services.priceFeed.getPrice('NEO/USD')",
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("runtime", ["node16", "node18"])
def test_a_service_without_its_setting_is_unavailable_and_that_can_be_caught(
    account: Account, call: str, runtime: str
) -> None:
    code = f"""module.exports = async ({{ services }}) => {{
      try {{ return {{ made_up: await {call} }}; }}
      catch (error) {{ return [error instanceof Error, error.name, error.code]; }}
    }};"""
    told = account.functions.invoke(account.functions.create_neo(code, runtime=runtime))

    assert told.json()["data"]["result"] == [True, "ServiceUnavailableError", "service_unavailable"]


def test_uncaught_it_fails_the_run(account: Account) -> None:
    code = "module.exports = ({ services }) => services.blockchain.getBlockCount()"
    failed = account.functions.invoke(account.functions.create_neo(code))

    assert failed.status_code == 500
    details: dict[str, Any] = failed.json()["error"]["details"]
    assert details["name"] == "ServiceUnavailableError"
    assert "no Neo N3 node is configured" in details["message"]


def test_what_needs_nobody_works(account: Account) -> None:
    code = """module.exports = async ({ services }) => [
      services.blockchain.isAddress('NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP'), services.blockchain.assets.GAS.length,
      (await services.random.bytes(4)).length, (await services.random.generate({ min: 3, max: 3 })).number];"""
    told = account.functions.invoke(account.functions.create_neo(code))

    assert told.json()["data"]["result"] == [True, 42, 8, 3]
