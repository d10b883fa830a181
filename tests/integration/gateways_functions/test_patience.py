"""What callers are told of functions that take longer than they wait, or that others are changing (section 4.1)."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from services.api.dialects.gateways.routes import GatewaysDialect
from services.api.http import Front
from services.api.routing import Router
from tests.integration.gateways_functions.shop import NODE, Shop, link_to_aws
from tests.integration.gateways_functions.test_clouds import files_at
from tests.support.builders import unique, zipped
from tests.support.eventually import eventually
from tests.support.fake_aws import FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def hasty(cloud_shop: Shop) -> AsyncIterator[str]:
    """Where another api of the same platform answers, whose callers wait half a second."""
    platform = cloud_shop.api.api.platform
    dialect = GatewaysDialect(replace(platform, limits=replace(platform.limits, deployment_s=0.5, change_wait_s=0.2)))
    router = Router()
    router.add(dialect.routes(), dialect)
    runner = web.ServerRunner(web.Server(Front((dialect,), router)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}{cloud_shop.place}"
    await runner.cleanup()


@contextmanager
def held(aws: FakeAws, action: str) -> Iterator[None]:
    """Let AWS not answer calls of an action."""
    aws.held[action] = goes_on = threading.Event()
    try:
        yield
    finally:
        del aws.held[action]
        goes_on.set()


async def made(shop: Shop) -> tuple[int, str]:
    """Make a function and wait until it is active; return its number and its name at AWS."""
    function = await shop.create()
    await eventually(lambda: is_in(shop, function["id"], "active"), within_s=30)
    return function["id"], function["resourceId"]


async def is_in(shop: Shop, number: int, status: str) -> bool:
    return bool((await shop.read(number))["status"] == status)


async def test_a_create_that_its_cloud_has_not_accepted_yet_says_so_and_is_there_when_it_has(
    cloud_shop: Shop, hasty: str, aws: FakeAws
) -> None:
    name = unique("slow")
    with held(aws, "CreateFunction"):
        answer = await cloud_shop.owner.http.post(f"{hasty}/functions", json={**NODE, "name": name})

        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "goes on" in answer.json()["message"]
        assert (await cloud_shop.get("functions"))["data"] == []
        await cloud_shop.create(name, status=409)

    async def is_listed() -> bool:
        return [each["status"] for each in (await cloud_shop.get("functions"))["data"]] == ["active"]

    await eventually(is_listed, within_s=30)


async def test_a_change_of_code_that_takes_long_is_answered_as_updating(
    cloud_shop: Shop, hasty: str, aws: FakeAws
) -> None:
    number, _ = await made(cloud_shop)
    code = {"file": ("code.zip", zipped({"index.js": "new"}))}
    with held(aws, "UpdateFunctionCode"):
        uploaded = await cloud_shop.owner.http.post(f"{hasty}/functions/{number}/upload", files=code)
        body = {"path": "x.js", "content": ""}
        busy = await cloud_shop.owner.http.post(f"{hasty}/functions/{number}/files", json=body)

        assert (uploaded.status_code, uploaded.json()["data"]["status"]) == (200, "updating")
        assert (await cloud_shop.read(number))["status"] == "updating"
        assert busy.status_code == 409

    await eventually(lambda: is_in(cloud_shop, number, "active"), within_s=30)
    assert (await cloud_shop.read(number))["code"] == "new"
    assert "status" not in (await cloud_shop.upload(number, {"index.js": "newer"}))["data"]


@pytest.mark.parametrize("then", [("PUT", "sync"), ("DELETE", "")])
async def test_a_sync_and_a_delete_wait_for_the_change_before_them(
    cloud_shop: Shop, aws: FakeAws, then: tuple[str, str]
) -> None:
    number, _ = await made(cloud_shop)
    method, action = then
    changes = aws.count("UpdateFunctionConfiguration")
    async with asyncio.TaskGroup() as group:
        with held(aws, "UpdateFunctionConfiguration"):
            change = group.create_task(cloud_shop.send("PUT", f"functions/{number}", {"memorySize": 256}))
            await eventually(lambda: aws.count("UpdateFunctionConfiguration") > changes, within_s=10)
            after = group.create_task(cloud_shop.send(method, f"resources/{number}/{action}".rstrip("/")))
            done, _ = await asyncio.wait({after}, timeout=0.3)
            assert not done

    assert change.result()["data"]["memorySize"] == 256
    told: Any = after.result()["data"]
    assert told.get("memorySize", 256) == 256


async def test_what_takes_a_name_at_the_cloud_at_the_same_moment_is_left_alone(cloud_shop: Shop, aws: FakeAws) -> None:
    name = unique("race")
    creates = aws.count("CreateFunction")
    async with asyncio.TaskGroup() as group:
        with held(aws, "CreateFunction"):
            create = group.create_task(cloud_shop.create(name, status=409))
            await eventually(lambda: aws.count("CreateFunction") > creates, within_s=10)
            aws.create({"FunctionName": name, "Code": {"ZipFile": ""}, "MemorySize": 3, "Timeout": 3, "Handler": "a.b"})

    assert "already exist" in create.result()["message"]
    assert aws.functions[name].configuration["Handler"] == "a.b"
    assert (await cloud_shop.get("functions"))["data"] == []


@pytest.mark.parametrize("is_cloud", [False, True])
async def test_of_what_is_asked_at_once_of_a_function_that_goes_each_is_done_or_told_why_not(
    shop: Shop, aws: FakeAws, is_cloud: bool
) -> None:
    if is_cloud:
        await link_to_aws(shop)
    number, name = await made(shop)
    http, at = shop.owner.http, f"{shop.place}/functions/{number}"
    resource = f"{shop.place}/resources/{number}"

    answers = await asyncio.gather(
        *(http.put(at, json={"timeout": timeout, "positionX": timeout}) for timeout in (5, 6, 7)),
        *(shop.post_zip(number, zipped({"index.js": code})) for code in "ab"),
        *(http.post(f"{at}/files", json={"path": f"{path}.js", "content": path}) for path in "xy"),
        http.put(f"{resource}/sync"),
        http.patch(resource, json={"name": unique("label")}),
        http.delete(resource),
        http.delete(resource),
        *(http.get(path) for path in (at, f"{at}/files", resource)),
    )

    assert {answer.status_code for answer in answers} <= {200, 201, 404, 409}, [each.text for each in answers]
    if (await http.get(at)).status_code != 404:
        await shop.send("DELETE", f"resources/{number}")
    await shop.get(f"functions/{number}", 404)
    assert name not in aws.functions
    open_ones = await shop.db.fetchval(
        """
        SELECT count(*) FROM deployments d JOIN functions f ON f.id = d.function_id
        WHERE f.number = $1 AND d.state IN ('pending', 'running')
        """,
        number,
    )
    assert open_ones == 0


async def test_ten_uploads_at_once_leave_the_same_files_here_and_at_the_cloud(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await made(cloud_shop)
    sets = [{"index.js": str(index), f"{index}.js": ""} for index in range(10)]

    answers = await asyncio.gather(*(cloud_shop.post_zip(number, zipped(files)) for files in sets))

    assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
    left = await cloud_shop.deployed(number)
    assert {path: content.decode() for path, content in left.items()} in sets
    assert files_at(aws, name) == left
    assert await is_in(cloud_shop, number, "active")
