"""Pages in browsers that call the Neo dialect from another origin (CORS)."""

import httpx

from tests.integration.api.harness import Running, running

PAGE = "https://app.example.com"
OTHER = "https://evil.example.com"


async def preflight(api: Running, path: str, origin: str = PAGE) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-api-key"}
    async with httpx.AsyncClient(base_url=api.address, verify=False) as browser:
        return await browser.options(path, headers=asked)


async def test_no_page_of_another_origin_is_let_unless_the_operator_says_so(api: Running) -> None:
    refused = await preflight(api, "/v1/functions/f")
    answer = await api.http.get("/v1/functions", headers={"Origin": PAGE})

    assert refused.status_code == 405
    assert not any(name.startswith("access-control") for name in [*refused.headers, *answer.headers])


async def test_a_page_that_is_named_may_ask_and_read(database_url: str) -> None:
    async with running(database_url, TIDEMILL_CORS_ORIGINS=f"https://b.example.com, {PAGE}") as api:
        asked = await preflight(api, "/v1/functions/f")
        read = await api.http.get("/v1/functions", headers={"Origin": PAGE})
        failed = await api.http.get("/v1/functions/nowhere", headers={"Origin": PAGE})
        elsewhere = await api.http.get("/tasks/v1/health", headers={"Origin": PAGE})

    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == PAGE
    assert asked.headers["Access-Control-Allow-Methods"] == "DELETE, GET, PUT"
    assert "X-API-Key" in asked.headers["Access-Control-Allow-Headers"]
    assert int(asked.headers["Access-Control-Max-Age"]) > 0
    for answer in (read, failed):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in elsewhere.headers


async def test_a_page_that_is_not_named_is_told_nothing(database_url: str) -> None:
    async with running(database_url, TIDEMILL_CORS_ORIGINS=PAGE) as api:
        asked = await preflight(api, "/v1/functions", OTHER)
        read = await api.http.get("/v1/functions", headers={"Origin": OTHER})

    assert "Access-Control-Allow-Origin" not in asked.headers
    assert "Access-Control-Allow-Origin" not in read.headers
    assert read.headers["Vary"] == "Origin"


async def test_all_pages_may_be_let_and_preflights_count_against_nobody(database_url: str) -> None:
    limits = {"TIDEMILL_RATE_LIMIT": "on", "TIDEMILL_RATE_LIMIT_ADDRESS": "2", "TIDEMILL_RATE_LIMIT_ADDRESS_BURST": "2"}
    async with running(database_url, TIDEMILL_CORS_ORIGINS="*", **limits) as api:
        asked = [await preflight(api, "/v1/functions", OTHER) for _ in range(5)]
        read = await api.http.get("/v1/functions", headers={"Origin": OTHER})

    assert {answer.status_code for answer in asked} == {204}
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in [*asked, read]} == {"*"}
    assert "Vary" not in read.headers
