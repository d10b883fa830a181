"""Where requests of functions may go, and where not: the same for ``fetch``, the oracle and sources of prices."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.invoker.host_services.errors import (
    HostNotAllowedError,
    InvalidArgumentError,
    OracleError,
    ServiceUnavailableError,
)
from tests.integration.host_services.outside import World, hello
from tests.support.web import Authority, Site, running_site


async def test_an_allowed_host_is_reached_over_tls(world: World, secure: Site) -> None:
    url = f"https://localhost:{secure.port}/a?b=c"
    answer = await world.fetch(f"localhost:{secure.port}", f"{url}#fragment")

    assert (answer["status"], answer["statusText"], answer["url"], answer["redirected"]) == (200, "OK", url, False)
    assert json.loads(answer["body"])["path"] == "/a"
    assert answer["headers"]["x-mark"] == "seen"
    (asked,) = secure.asked
    assert (asked.method, asked.path, asked.body) == ("GET", "/a?b=c", b"")
    assert asked.headers == {
        "host": f"localhost:{secure.port}",
        "user-agent": "tidemill",
        "accept": "*/*",
        "accept-encoding": "identity",
    }


async def test_a_certificate_that_is_not_the_hosts_is_not_trusted(world: World, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    for tls in (stranger.server("localhost"), world.authority.server("other.example")):
        async with running_site(hello, tls) as site:
            with pytest.raises(ServiceUnavailableError, match="its certificate is not valid"):
                await world.fetch(f"localhost:{site.port}", f"https://localhost:{site.port}/")
            assert site.asked == []


async def test_plain_http_must_be_named(world: World, site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/"
    assert (await world.fetch(f"http://127.0.0.1:{site.port}", url))["status"] == 200
    with pytest.raises(HostNotAllowedError, match="does not allow http://"):
        await world.fetch(f"127.0.0.1:{site.port}", url)


@pytest.mark.parametrize(
    "url",
    ["https://other.example/", "https://sub.api.example/", "https://api.example:444/", "http://api.example/",
     "https://api.example.evil.example/", "https://api.example./", "https://127.0.0.1/", "https://0x7f.1/",
     "https://[::ffff:127.0.0.1]/", "https://evil.example/?https://api.example", "https://evil.example\\@api.example/"],
)  # fmt: skip
async def test_what_is_not_on_the_list_is_refused_unasked(world: World, url: str) -> None:
    with pytest.raises((HostNotAllowedError, InvalidArgumentError)):
        await world.fetch("api.example", url)
    assert world.resolver.asked == []


@pytest.mark.parametrize(
    "url", ["", "x", "//api.example/", "ftp://api.example/", "file:///etc/passwd", "https://", "https://me:pw@api.example/",
            "https://me@api.example/", "https://api.example:99999999/", "https://" + "x" * 9000, 5, None],
)  # fmt: skip
async def test_what_is_no_url_is_refused(world: World, url: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        await world.fetch("api.example", url)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["fe80::1"], ["::ffff:10.0.0.1"],
     ["192.168.0.1", "fc00::1"]],
)  # fmt: skip
async def test_a_host_whose_name_leads_home_is_refused(world: World, addresses: list[str]) -> None:
    world.resolver.known = {"api.example": addresses}
    with pytest.raises(HostNotAllowedError, match=r"api\.example has no public address"):
        await world.fetch("api.example", "https://api.example/")


async def test_localhost_is_refused_unless_its_port_is_named(world: World) -> None:
    for url in ("https://localhost/", "https://127.0.0.1/", "https://[::1]/"):
        with pytest.raises(HostNotAllowedError, match="has no public address"):
            await world.fetch("localhost,127.0.0.1,[::1]", url)


async def test_what_was_checked_is_what_is_connected_to(world: World, secure: Site) -> None:
    # A name that leads elsewhere each time it is asked about: it is asked about once, and that answer is used.
    world.resolver.known = {"data.example": ["127.0.0.1"]}
    answer = await world.fetch(f"data.example:{secure.port}", f"https://data.example:{secure.port}/x")

    assert answer["status"] == 200
    assert world.resolver.asked == ["data.example"]
    assert secure.asked[0].headers["host"] == f"data.example:{secure.port}"


async def test_the_next_address_is_tried_when_nobody_listens(world: World, secure: Site) -> None:
    world.resolver.known = {"data.example": ["127.0.0.9", "127.0.0.1"]}
    answer = await world.fetch(f"data.example:{secure.port}", f"https://data.example:{secure.port}/x")

    assert answer["status"] == 200
    world.resolver.known = {"data.example": ["127.0.0.9"]}
    with pytest.raises(ServiceUnavailableError, match="no connection"):
        await world.fetch(f"data.example:{secure.port}", f"https://data.example:{secure.port}/x")


async def test_a_host_with_no_address_is_unavailable(world: World) -> None:
    with pytest.raises(ServiceUnavailableError, match="has no address"):
        await world.fetch("no-such-host.invalid", "https://no-such-host.invalid/", timeout=30000)


def redirecting(status: int, to: str) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/end":
            return await hello(request)
        return web.Response(status=status, headers={"Location": to})

    return answer


async def test_redirects_are_followed_to_allowed_places(world: World, site: Site) -> None:
    site.answer = redirecting(302, "end")
    answer = await world.fetch(f"http://127.0.0.1:{site.port}", f"http://127.0.0.1:{site.port}/start")

    assert (answer["status"], answer["redirected"]) == (200, True)
    assert answer["url"] == f"http://127.0.0.1:{site.port}/end"


@pytest.mark.parametrize(
    "to",
    ["http://localhost:{port}/end", "https://127.0.0.1:{port}/end", "http://169.254.169.254/latest", "http://10.0.0.1/",
     "//localhost:{port}/end"],
)  # fmt: skip
async def test_a_redirect_leads_to_no_other_place(world: World, site: Site, to: str) -> None:
    site.answer = redirecting(302, to.format(port=site.port))
    with pytest.raises(HostNotAllowedError):
        await world.fetch(f"http://127.0.0.1:{site.port}", f"http://127.0.0.1:{site.port}/")
    assert [asked.path for asked in site.asked] == ["/"]


async def test_a_redirect_to_an_allowed_name_at_a_private_address_is_refused(world: World, site: Site) -> None:
    site.answer = redirecting(302, "http://inner.example/")
    world.resolver.known = {"inner.example": ["127.0.0.1"]}
    with pytest.raises(HostNotAllowedError, match="no public address"):
        await world.fetch(f"http://127.0.0.1:{site.port},http://inner.example", f"http://127.0.0.1:{site.port}/")


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://x/", "https://me:pw@x/", "data:,x"])
async def test_a_redirect_to_what_is_no_url_is_an_error(world: World, site: Site, to: str) -> None:
    site.answer = redirecting(302, to)
    with pytest.raises(OracleError, match="redirects to what is no URL"):
        await world.fetch(f"http://127.0.0.1:{site.port}", f"http://127.0.0.1:{site.port}/")


async def test_redirects_end(world: World, site: Site) -> None:
    site.answer = redirecting(302, "/again")
    with pytest.raises(OracleError, match="more than 5 times"):
        await world.fetch(f"http://127.0.0.1:{site.port}", f"http://127.0.0.1:{site.port}/")
    assert len(site.asked) == 6


@pytest.mark.parametrize(("status", "method", "body"), [(303, "GET", b""), (302, "GET", b""), (307, "POST", b"data")])
async def test_a_redirected_post_becomes_a_get_where_browsers_make_it_one(
    world: World, site: Site, status: int, method: str, body: bytes
) -> None:
    site.answer = redirecting(status, "/end")
    headers = [["Content-Type", "text/plain"], ["Authorization", "Bearer x"], ["X-Mine", "1"]]
    hosts = f"http://127.0.0.1:{site.port}"
    await world.fetch(hosts, f"{hosts}/", method="POST", body=b"data", headers=headers)
    asked = site.asked[1]

    assert (asked.method, asked.body) == (method, body)
    assert ("content-type" in asked.headers) == (method == "POST")
    assert (asked.headers["authorization"], asked.headers["x-mine"]) == ("Bearer x", "1")


async def test_credentials_do_not_follow_a_redirect_to_another_host(world: World, site: Site) -> None:
    async with running_site(hello) as other:
        site.answer = redirecting(307, f"http://127.0.0.1:{other.port}/end")
        hosts = f"http://127.0.0.1:{site.port},http://127.0.0.1:{other.port}"
        headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Mine": "1"}
        await world.fetch(hosts, f"http://127.0.0.1:{site.port}/", headers=headers)

        assert site.asked[0].headers["authorization"] == "Bearer x"
        assert not {"authorization", "cookie"} & set(other.asked[0].headers)
        assert other.asked[0].headers["x-mine"] == "1"
