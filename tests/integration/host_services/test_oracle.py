"""``fetch`` and ``services.oracle``: what can be sent, what is taken of an answer, and how long it may take."""

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web

from services.invoker.host_services.errors import InvalidArgumentError, OracleError, ServiceUnavailableError
from services.invoker.host_services.oracle import Oracle
from tests.integration.host_services.outside import World
from tests.support.web import Site


async def test_nothing_one_request_was_given_is_sent_with_the_next(world: World, site: Site) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"Set-Cookie": "who=somebody; Path=/"})

    site.answer = answer
    for _ in range(2):
        got = await world.fetch(f"http://127.0.0.1:{site.port}", f"http://127.0.0.1:{site.port}/")
        assert got["headers"]["set-cookie"].startswith("who=")
    assert "cookie" not in site.asked[1].headers


async def test_a_request_says_what_the_function_wants_said(world: World, site: Site) -> None:
    hosts = f"http://127.0.0.1:{site.port}"
    for method in ("POST", "put", "PATCH", "DELETE"):
        await world.fetch(
            hosts, f"{hosts}/", method=method, body=b"\x00\xff", headers=[["X-Mine", "ü"], ["ACCEPT", "x"]]
        )
        asked = site.asked[-1]
        assert (asked.method, asked.body) == (method.upper(), b"\x00\xff")
        assert (asked.headers["accept"], asked.headers["content-length"]) == ("x", "2")
        assert asked.headers["x-mine"].encode("utf-8", "surrogateescape").decode("latin-1") == "ü"
    assert (await world.fetch(hosts, f"{hosts}/", method="HEAD"))["body"] == ""


@pytest.mark.parametrize(
    "options",
    [
        {"method": "TRACE"}, {"method": "CONNECT"}, {"method": "GET\r\n"}, {"method": 5}, {"headers": 5},
        {"headers": [["a"]]}, {"headers": [["a", 5]]}, {"headers": {"Host": "x"}}, {"headers": {"content-length": "5"}},
        {"headers": {"Transfer-Encoding": "chunked"}}, {"headers": {"a b": "c"}}, {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"a": "\0"}}, {"headers": {"a": "€"}}, {"headers": {"": "x"}}, {"headers": {"a": "x" * 9000}},
        {"headers": [["a", "b"]] * 51}, {"timeout": 0}, {"timeout": 30001}, {"timeout": "5"}, {"timeout": 1.5},
        {"body": b"x" * (1024 * 1024 + 1)}, {"redirect": "manual"}, {"redirect": "error"},
    ],
)  # fmt: skip
async def test_what_cannot_be_sent_is_refused(world: World, site: Site, options: dict[str, Any]) -> None:
    hosts = f"http://127.0.0.1:{site.port}"
    with pytest.raises(InvalidArgumentError):
        await world.fetch(hosts, f"{hosts}/", **options)
    assert site.asked == []


async def test_the_largest_answer_arrives_and_a_larger_one_is_refused(world: World, site: Site) -> None:
    size = 5 * 1024 * 1024

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x" * size)

    site.answer = answer
    hosts = f"http://127.0.0.1:{site.port}"
    assert len((await world.fetch(hosts, f"{hosts}/"))["body"]) == size
    size += 1
    with pytest.raises(OracleError, match="larger than 5242880 bytes"):
        await world.fetch(hosts, f"{hosts}/")


async def test_a_body_without_end_is_not_read_to_it(world: World, site: Site) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    site.answer = answer
    hosts = f"http://127.0.0.1:{site.port}"
    with pytest.raises(OracleError, match="larger than"):
        await world.fetch(hosts, f"{hosts}/")


async def test_a_compressed_answer_is_not_unpacked(world: World, site: Site) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    site.answer = answer
    hosts = f"http://127.0.0.1:{site.port}"
    with pytest.raises(OracleError, match="compressed"):
        await world.fetch(hosts, f"{hosts}/")


@pytest.mark.parametrize("after_headers", [False, True])
async def test_a_slow_host_is_given_up_in_time(world: World, site: Site, after_headers: bool) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        if after_headers:
            await response.prepare(request)
            await response.write(b"{")
        await asyncio.sleep(10)
        return response

    site.answer = answer
    hosts = f"http://127.0.0.1:{site.port}"
    began = time.monotonic()
    with pytest.raises(ServiceUnavailableError, match=r"did not answer within 0\.3 s"):
        await world.fetch(hosts, f"{hosts}/", timeout=300)
    assert 0.3 <= time.monotonic() - began < 2


async def test_a_host_that_hangs_up_is_unavailable(world: World, site: Site) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    site.answer = answer
    hosts = f"http://127.0.0.1:{site.port}"
    with pytest.raises(ServiceUnavailableError, match="the connection broke"):
        await world.fetch(hosts, f"{hosts}/")


@pytest.mark.parametrize(
    ("path", "found"),
    [("$.list[0].price", 1.5), ("$.list[1]", 2**53 - 1), ("$['path']", "/"),
     (None, {"path": "/", "list": [{"price": 1.5}, 2**53 - 1]})],
)  # fmt: skip
async def test_the_oracle_gives_what_is_at_the_path(world: World, site: Site, path: str | None, found: Any) -> None:
    hosts = f"http://127.0.0.1:{site.port}"

    assert found == await world.oracle(hosts, f"{hosts}/", jsonPath=path)


async def test_the_oracle_says_what_is_wrong_with_an_answer(world: World, site: Site) -> None:
    hosts = f"http://127.0.0.1:{site.port}"
    with pytest.raises(OracleError, match=r"has nothing at \$\.list\[2\]"):
        await world.oracle(hosts, f"{hosts}/", jsonPath="$.list[2]")

    async def missing(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({}, status=404)

    site.answer = missing
    with pytest.raises(OracleError, match="HTTP 404") as caught:
        await world.oracle(hosts, f"{hosts}/")
    assert caught.value.fields == {"status": 404}

    async def text(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="NaN")

    site.answer = text
    with pytest.raises(OracleError, match="did not answer with JSON"):
        await world.oracle(hosts, f"{hosts}/")


@pytest.mark.parametrize("options", [{"jsonPath": "price"}, {"jsonPath": ""}, {"jsonPath": 5}, {"body": 5}])
async def test_the_oracle_refuses_what_it_does_not_take(world: World, site: Site, options: dict[str, Any]) -> None:
    hosts = f"http://127.0.0.1:{site.port}"
    with pytest.raises(InvalidArgumentError):
        await world.oracle(hosts, f"{hosts}/", **options)


async def test_without_a_list_both_are_unavailable() -> None:
    oracle = Oracle(None)
    for methods in (oracle.methods(), oracle.http_methods()):
        with pytest.raises(ServiceUnavailableError, match="TIDEMILL_ORACLE_HOSTS"):
            await methods["fetch"]([{"url": "https://api.example/"}])
