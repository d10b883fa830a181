"""The bodies of all requests share one budget (over real sockets, in both dialects)."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.domain.outcome import Outcome
from tests.integration.api.harness import Running, echo
from tests.integration.api.test_edge import head
from tests.integration.api.test_functions import create, error_of
from tests.support.eventually import eventually

BODY = b'{"params":{"n":1}}'


async def slowly(body: bytes) -> AsyncIterator[bytes]:
    """Send a body in two chunks, without announcing its length."""
    yield body[:5]
    yield body[5:]


async def test_bodies_beyond_the_budget_are_unavailable_until_there_is_room(api: Running) -> None:
    await create(api)
    others = api.api.front.bodies.open()
    others.take(api.api.front.bodies.left_bytes - len(BODY) + 1)

    announced = await api.http.post("/v1/functions/greet/invoke", content=BODY)
    chunked = await api.http.post("/v1/functions/greet/invoke", content=slowly(BODY))
    token = await api.http.post("/auth/v2/oauth2/tokens", content=BODY)
    without = await api.http.get("/v1/functions")
    others.release()
    after = await api.http.post("/v1/functions/greet/invoke", content=slowly(BODY))

    for answer in (announced, chunked):
        assert (answer.status_code, error_of(answer)["code"]) == (503, "service_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert (token.status_code, token.json()["code"], token.headers["Retry-After"]) == (503, 4, "1")
    assert without.status_code == 200
    assert after.json()["data"]["result"] == {"n": 1}
    assert api.api.front.bodies.held_bytes == 0


async def test_a_body_is_held_until_its_request_is_answered(api: Running) -> None:
    await create(api)
    began, go = asyncio.Event(), asyncio.Event()

    async def patient(event: bytes) -> Outcome:
        began.set()
        await go.wait()
        return await echo(event)

    api.script.run = patient
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(api.http.post("/v1/functions/greet/invoke", content=BODY))
        await began.wait()
        held = api.api.front.bodies.held_bytes
        go.set()
        await call

    assert held == len(BODY)
    assert api.api.front.bodies.held_bytes == 0


@pytest.mark.parametrize("body", [b"{", b" " * (2 * 1024 * 1024), BODY], ids=["broken", "too large", "unknown"])
async def test_a_refused_request_gives_its_body_back(api: Running, body: bytes) -> None:
    await create(api)

    path = "/v1/functions/nobody/invoke" if body is BODY else "/v1/functions/greet/invoke"
    answer = await api.http.post(path, content=slowly(body))

    assert 400 <= answer.status_code < 500
    assert api.api.front.bodies.held_bytes == 0


async def test_a_caller_that_leaves_inside_its_body_gives_it_back(api: Running) -> None:
    await create(api)
    reader, writer = await asyncio.open_connection("localhost", api.api.port)
    writer.write(head("/v1/functions/greet/invoke", "Content-Length: 1000") + b"{" * 500)
    await writer.drain()
    await eventually(lambda: api.api.front.bodies.held_bytes == 500)
    writer.close()
    await writer.wait_closed()

    await eventually(lambda: api.api.front.bodies.held_bytes == 0)
    assert reader is not None
    async with httpx.AsyncClient(base_url=api.address, verify=False) as other:
        assert (await other.get("/health")).status_code == 200
