"""``services.priceFeed`` against sources of the test's own."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from services.invoker.host_services.errors import InvalidArgumentError, ServiceUnavailableError
from services.invoker.host_services.network import Resolver
from services.invoker.host_services.outbound import Outbound
from services.invoker.host_services.price_feed import PriceFeed, PriceSources
from shared.process.host_services_settings import price_sources
from tests.support.web import Site, running_site


class Market:
    """One site that stands for several sources: ``/name/NEO/usd`` answers what ``prices[name]`` is, as text of JSON."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.prices: dict[str, str] = {}
        site.answer = self._answer

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        name, base, quote = request.path.strip("/").split("/")
        if name == "slow":
            await asyncio.sleep(0.05)
        return web.Response(text=f'{{"{base.lower()}": {{"{quote.upper()}": {self.prices[name]}}}}}')


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    async def nothing(_: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError

    async with running_site(nothing) as site:
        yield Market(site)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound(httpx.create_ssl_context(), Resolver())
    yield made
    await made.close()


def feed(market: Market, outbound: Outbound, **prices: str) -> PriceFeed:
    market.prices = prices
    at = f"http://127.0.0.1:{market.site.port}"
    given = [{"name": name, "url": f"{at}/{name}/{{BASE}}/{{quote}}", "path": "$.{base}['{QUOTE}']"} for name in prices]
    return PriceFeed(PriceSources(outbound=outbound, sources=price_sources(json.dumps(given))))


async def price(made: PriceFeed, pair: object = "NEO/USD") -> dict[str, Any]:
    answer: dict[str, Any] = await made.methods()["getPrice"]([pair])
    return answer


async def test_the_price_is_the_median_of_all_sources(market: Market, outbound: Outbound) -> None:
    answer = await price(feed(market, outbound, one="12.34", two='"12.5"', slow="999999"), "neo-usd")

    assert abs(answer.pop("lastUpdateTime") - time.time()) < 60
    assert answer == {"pair": "NEO-USD", "price": "12.5", "decimals": 8, "sources": ["one", "slow", "two"]}


@pytest.mark.parametrize(
    ("prices", "median"),
    [
        (["0.1", "0.2"], "0.15"), (["100"], "100"), (["1e-8"], "0.00000001"),
        (["123456789.123456789"], "123456789.12345679"),
        (["9007199254740993"], "9007199254740993"), (["0.30000000000000004"], "0.3"), (["1E3", "1"], "500.5"),
    ],
)  # fmt: skip
async def test_prices_are_decimals_from_end_to_end(
    market: Market, outbound: Outbound, prices: list[str], median: str
) -> None:
    named = {f"source-{number}": each for number, each in enumerate(prices)}

    assert (await price(feed(market, outbound, **named)))["price"] == median


@pytest.mark.parametrize(
    "odd",
    ["null", "0", "-1", '"x"', '"NaN"', '"Infinity"', "true", "{}", "[1]", "1e99", "1e-9", "nonsense", "[" * 9999],
)
async def test_a_source_without_a_price_is_left_out(market: Market, outbound: Outbound, odd: str) -> None:
    answer = await price(feed(market, outbound, one="2", two="4", odd=odd))

    assert (answer["price"], answer["sources"]) == ("3", ["one", "two"])


async def test_half_of_the_sources_are_not_enough(market: Market, outbound: Outbound) -> None:
    with pytest.raises(ServiceUnavailableError, match="1 of 2 sources have a price of NEO/USD"):
        await price(feed(market, outbound, one="2", two="null"))


async def test_a_price_is_remembered_and_each_pair_has_its_own(market: Market, outbound: Outbound) -> None:
    made = feed(market, outbound, one="2")
    first = await price(made)
    market.prices["one"] = "3"

    assert first == await price(made, "neo-usd")
    assert (await price(made, "GAS/USD"))["price"] == "3"
    assert [asked.path for asked in market.site.asked] == ["/one/NEO/usd", "/one/GAS/usd"]


@pytest.mark.parametrize(
    "pair", [None, 5, "", "NEO", "NEO/", "NEO/USD/EUR", "NEO USD", "../x", "A/" + "B" * 17, "é/USD"]
)
async def test_what_is_no_pair_is_refused(market: Market, outbound: Outbound, pair: object) -> None:
    with pytest.raises(InvalidArgumentError, match="two symbols"):
        await price(feed(market, outbound, one="1"), pair)


async def test_without_sources_no_price_is_invented() -> None:
    with pytest.raises(ServiceUnavailableError, match="TIDEMILL_PRICE_SOURCES"):
        await price(PriceFeed(None))
