"""Rate limits of the Neo dialect: who is counted, in which order, and what every answer tells (contracts/neo.md 6)."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.api.dialects.neo.browsers import Browsers
from services.api.dialects.neo.routes import NeoDialect
from shared.domain.errors import InternalError
from shared.process.health import Health
from tests.integration.api.harness import API_KEY, Running, running
from tests.support.eventually import eventually

KEY_BURST, ADDRESS_BURST = 6, 4
LIMITS = {
    "TIDEMILL_RATE_LIMIT": "on",
    "TIDEMILL_RATE_LIMIT_KEY": "120",
    "TIDEMILL_RATE_LIMIT_KEY_BURST": str(KEY_BURST),
    "TIDEMILL_RATE_LIMIT_ADDRESS": "4",
    "TIDEMILL_RATE_LIMIT_ADDRESS_BURST": str(ADDRESS_BURST),
    "TIDEMILL_TRUSTED_PROXIES": "127.0.0.1,::1",
}
"""A key gets its burst back after three seconds, an address after a minute."""
SPELLINGS = ("X-Rate-Limit-", "X-RateLimit-")
NOBODY = {"X-API-Key": "sl_" + "0" * 64}


@pytest.fixture
async def limited(database_url: str) -> AsyncIterator[Running]:
    async with running(database_url, **LIMITS) as started:
        yield started


@pytest.fixture
async def generous(database_url: str) -> AsyncIterator[Running]:
    """The limits of the contract, but for bursts."""
    async with running(
        database_url,
        TIDEMILL_RATE_LIMIT="on",
        TIDEMILL_RATE_LIMIT_KEY_BURST="1000",
        TIDEMILL_RATE_LIMIT_ADDRESS_BURST="100",
    ) as started:
        yield started


def told(answer: httpx.Response) -> tuple[int, int, int]:
    """Return limit, remaining and reset as an answer says them, the same in both spellings."""
    both = [
        tuple(int(answer.headers[spelling + name]) for name in ("Limit", "Remaining", "Reset"))
        for spelling in SPELLINGS
    ]
    assert both[0] == both[1]
    limit, remaining, reset = both[0]
    return limit, remaining, reset


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.json()["success"] is False
    return dict(answer.json()["error"])


async def exhaust(http: httpx.AsyncClient, times: int, **headers: str) -> None:
    for _ in range(times):
        assert (await http.get("/v1/functions", headers=headers)).status_code != 429


async def test_every_route_tells_with_a_key_and_without_one_what_is_left(generous: Running) -> None:
    routes = NeoDialect(generous.api.platform, Health("test"), Browsers(None)).routes()
    assert len(routes) >= 12

    for route in routes:
        path = re.sub(r"\{[^}]+\}", "unknown", route.path)
        with_key = await generous.http.request(route.methods[0], path)
        without = await generous.http.request(route.methods[0], path, headers={"X-API-Key": ""})

        assert told(with_key)[0] in {100, 1000}, path
        assert told(without)[0] == 100, path


async def test_failures_tell_what_is_left_too(generous: Running) -> None:
    function = {"name": "f", "code": "1", "runtime": "node18"}
    assert (await generous.http.post("/v1/functions", json=function)).status_code == 201
    generous.script.error = InternalError("boom")

    asked = [
        (404, generous.http.get("/v1/functions/nowhere")),
        (400, generous.http.get("/v1/functions?limit=0")),
        (400, generous.http.post("/v1/functions", content=b"{")),
        (413, generous.http.post("/v1/functions", content=b" " * (2 << 20))),
        (500, generous.http.post("/v1/functions/f/invoke")),
    ]
    left = []
    for status, request in asked:
        answer = await request
        assert answer.status_code == status, answer.text
        assert told(answer)[0] == 1000
        left.append(told(answer)[1])

    assert left == list(range(left[0], left[0] - len(asked), -1))
    unrouted = [await generous.http.get("/v1/nowhere"), await generous.http.patch("/v1/functions")]
    assert [(answer.status_code, told(answer)[:2]) for answer in unrouted] == [(404, (100, 99)), (405, (100, 98))]


async def test_a_key_over_its_limit_is_refused_with_the_wait_and_recovers(limited: Running) -> None:
    await exhaust(limited.http, KEY_BURST)

    refused = await limited.http.get("/v1/functions")

    assert refused.status_code == 429
    error = error_of(refused)
    assert error["code"] == "rate_limit_exceeded"
    wait_s = error["details"]["reset_in_seconds"]
    assert error["details"] == {"limit": 120, "reset_in_seconds": wait_s}
    assert 1 <= wait_s <= 3
    assert refused.headers["Retry-After"] == str(wait_s)
    assert told(refused)[:2] == (120, 0)

    async def answered() -> bool:
        return (await limited.http.get("/v1/functions")).status_code == 200

    await eventually(answered, within_s=wait_s + 1)


async def test_keys_are_counted_apart(limited: Running) -> None:
    other = await limited.new_key("read")
    await exhaust(limited.http, KEY_BURST)

    assert (await limited.http.get("/v1/functions", headers={"X-API-Key": other})).status_code == 200


async def test_too_many_requests_come_before_a_missing_permission_and_after_a_wrong_key(limited: Running) -> None:
    reader = {"X-API-Key": await limited.new_key("read")}
    statuses = [(await limited.http.post("/v1/functions", headers=reader)).status_code for _ in range(KEY_BURST + 1)]
    assert statuses == [403] * KEY_BURST + [429]

    strangers = [(await limited.http.get("/v1/functions", headers=NOBODY)).status_code for _ in range(5)]
    assert strangers == [401] * ADDRESS_BURST + [429]


async def test_a_valid_key_is_served_from_an_address_that_has_had_its_share(limited: Running) -> None:
    await exhaust(limited.http, ADDRESS_BURST, **NOBODY)
    assert (await limited.http.get("/v1/health")).status_code == 429

    assert (await limited.http.get("/v1/functions")).status_code == 200


async def test_what_has_no_route_counts_against_the_address(limited: Running) -> None:
    statuses = [(await limited.http.get("/v1/nowhere")).status_code for _ in range(ADDRESS_BURST + 1)]

    assert statuses == [404] * ADDRESS_BURST + [429]


async def test_callers_behind_a_trusted_proxy_are_told_apart(limited: Running) -> None:
    await exhaust(limited.http, ADDRESS_BURST, **NOBODY, **{"X-Forwarded-For": "192.0.2.1"})

    answers = [
        (await limited.http.get("/v1/health", headers={"X-Forwarded-For": address})).status_code
        for address in ("192.0.2.1", "203.0.113.9, 192.0.2.1", "192.0.2.2")
    ]

    assert answers == [429, 429, 200]


async def test_nothing_outside_the_dialect_is_counted(limited: Running) -> None:
    await exhaust(limited.http, ADDRESS_BURST, **NOBODY)

    for path, status in (("/health", 200), ("/tasks/v1/health", 200), ("/nowhere", 404), ("/openapi.json", 200)):
        answer = await limited.http.get(path)
        assert answer.status_code == status
        assert not any("limit" in name.lower() for name in answer.headers)


async def test_switched_off_nobody_is_counted(database_url: str) -> None:
    async with running(database_url) as api:
        answers = [await api.http.get("/v1/functions", headers={"X-API-Key": API_KEY}) for _ in range(120)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any("limit" in name.lower() for name in answers[0].headers)
