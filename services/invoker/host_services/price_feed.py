"""
``services.priceFeed``: prices from sources the operator configured, combined by their median.

All sources are asked at once. More than half of them must answer with a positive number, or there is no price: one
that is left alone could say anything. A price is remembered for some seconds, so that functions cannot press the
sources. Numbers are decimals from end to end.
"""

import asyncio
import json
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import Any

from services.invoker.host_services import arguments as read
from services.invoker.host_services.errors import HostServiceError, InvalidArgumentError, ServiceUnavailableError
from services.invoker.host_services.outbound import Outbound, Outgoing, read_url
from services.invoker.host_services.services import Method
from shared.domain.json_path import NotThereError, find
from shared.process.host_services_settings import PriceSource

_DECIMALS = 8
_PRECISION = 60
_SOURCE_S = 5.0
_MOST_BYTES = 256 * 1024
_REMEMBERED_S = 5.0
_REMEMBERED_PAIRS = 256
_SMALLEST, _LARGEST = Decimal(10) ** -8, Decimal(10) ** 30
_PAIR = re.compile(r"([A-Za-z0-9]{1,16})[/-]([A-Za-z0-9]{1,16})", re.ASCII)

Price = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSources:
    """The sources and the way to them."""

    outbound: Outbound
    sources: Sequence[PriceSource]


class PriceFeed:
    """Finds prices. ``sources`` is None when the operator configured none."""

    def __init__(self, sources: PriceSources | None) -> None:
        self._sources = sources
        self._remembered: dict[str, tuple[float, Price]] = {}

    def methods(self) -> Mapping[str, Method]:
        """Return what functions may call."""
        return {"getPrice": self._price}

    async def _price(self, arguments: list[Any]) -> Price:
        if self._sources is None:
            raise ServiceUnavailableError("no sources of prices are configured (TIDEMILL_PRICE_SOURCES)")
        given = read.first(arguments)
        found = _PAIR.fullmatch(given) if isinstance(given, str) else None
        if found is None:
            raise InvalidArgumentError("a pair is two symbols, like NEO/USD")
        base, quote = found[1].upper(), found[2].upper()
        pair, now = f"{base}-{quote}", time.monotonic()
        until, price = self._remembered.get(pair, (0.0, None))
        if price is None or now >= until:
            price = await self._combined(self._sources, base, quote)
            self._remember(pair, now, price)
        return price

    async def _combined(self, known: PriceSources, base: str, quote: str) -> Price:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask(known.outbound, source, base, quote)) for source in known.sources]
        told = {
            source.name: task.result()
            for source, task in zip(known.sources, asked, strict=True)
            if task.result() is not None
        }
        prices = [price for price in told.values() if price is not None]
        if len(prices) * 2 <= len(known.sources):
            raise ServiceUnavailableError(
                f"{len(prices)} of {len(known.sources)} sources have a price of {base}/{quote}; "
                "more than half of them must"
            )
        return {
            "pair": f"{base}-{quote}",
            "price": _median(prices),
            "decimals": _DECIMALS,
            "lastUpdateTime": int(time.time()),
            "sources": sorted(told),
        }

    def _remember(self, pair: str, now: float, price: Price) -> None:
        if len(self._remembered) >= _REMEMBERED_PAIRS:
            self._remembered = {pair: each for pair, each in self._remembered.items() if each[0] > now}
        if len(self._remembered) < _REMEMBERED_PAIRS:
            self._remembered[pair] = (now + _REMEMBERED_S, price)


async def _ask(outbound: Outbound, source: PriceSource, base: str, quote: str) -> Decimal | None:
    """Return what a source says; None when that is no price."""
    try:
        outgoing = Outgoing(
            url=read_url(source.url_of(base, quote)),
            headers={"user-agent": "tidemill", "accept": "application/json"},
            limit_s=_SOURCE_S,
            most_bytes=_MOST_BYTES,
        )
        fetched = await outbound.fetch(outgoing, (source.allowed(),))
        document = json.loads(fetched.answer.body, parse_float=Decimal)
        return _positive(find(document, source.steps_of(base, quote)))
    except (HostServiceError, NotThereError, ValueError, RecursionError):
        return None


def _positive(told: object) -> Decimal | None:
    if isinstance(told, bool) or not isinstance(told, int | str | Decimal):
        return None
    try:
        price = Decimal(told)
    except InvalidOperation:
        return None
    return price if price.is_finite() and _SMALLEST <= price < _LARGEST else None


def _median(prices: list[Decimal]) -> str:
    """Return the median as text, with no more decimals than are told and no zeros at its end."""
    with localcontext(prec=_PRECISION):
        median = statistics.median(prices).quantize(Decimal(1).scaleb(-_DECIMALS), rounding=ROUND_HALF_EVEN)
        text = f"{median:f}"
    return text.rstrip("0").rstrip(".")
