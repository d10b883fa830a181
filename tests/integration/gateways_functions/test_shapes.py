"""What is answered has one shape, wherever a function is: here and at AWS (contracts/gateways.md, check 53)."""

from typing import Any

import pytest

from tests.integration.gateways_functions.shop import Shop, link_to_aws
from tests.support.eventually import eventually
from tests.support.fake_aws import FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = {
    "runtime": "nodejs20.x",
    "handler": "index.handler",
    "region": "eu-west-1",
    "architecture": "x86_64",
    "description": "d",
    "positionX": 1,
    "positionY": 2,
}
SAME = {"localData": "data of the provider", "awsData": "data of the provider"}
CLOUDS_ALONE = ("functionArn", "codeSize")
"""What this installation has none of: null."""


async def test_a_function_here_and_one_at_aws_are_told_of_in_the_same_words(shop: Shop, aws: FakeAws) -> None:
    here = await a_life(shop)
    calls = len(aws.calls)
    await link_to_aws(shop)

    there = await a_life(shop)

    assert here == there
    done = {"CreateFunction", "UpdateFunctionConfiguration", "UpdateFunctionCode", "GetFunction", "DeleteFunction"}
    assert done <= set(aws.calls[calls:])


async def a_life(shop: Shop) -> list[Any]:
    """Make a function, change it in every way, and delete it; return the shapes of all answers."""
    said = [await shop.send("POST", "functions", {**BODY, "name": "thumbs"}, status=201)]
    number = said[0]["data"]["id"]
    at = f"functions/{number}"

    async def is_active() -> bool:
        return bool((await shop.read(number))["status"] == "active")

    await eventually(is_active, within_s=30)
    limits = {"memorySize": 256, "timeout": 60, "ephemeralStorage": 1024, "architecture": "arm64"}
    said += [await shop.get("functions"), await shop.get(at), await shop.send("PUT", at, limits)]
    assert limits.items() <= said[-1]["data"].items()
    said += [await shop.upload(number, {"index.js": "1", "lib/a.js": "2"}), await shop.get(f"{at}/files")]
    said += [await shop.send("PUT", f"{at}/files", {"path": "lib/a.js", "content": "3"})]
    said += [await shop.get("resources?type=function"), await shop.get(f"resources/{number}")]
    said += [await shop.send("PUT", f"resources/{number}/sync")]
    assert (said[-1]["data"]["status"], said[-1]["data"]["memorySize"]) == ("Active", 256)
    said += [await shop.send("DELETE", f"resources/{number}"), await shop.get(at, 404)]
    return [shape_of(each) for each in said]


def shape_of(value: Any) -> Any:
    """Return the types of a value, by the names of its fields."""
    match value:
        case dict():
            shapes = {SAME.get(name, name): shape_of(each) for name, each in value.items()}
            return shapes | {name: "some or none" for name in CLOUDS_ALONE if name in shapes}
        case list():
            return [shape_of(each) for each in value]
        case _:
            return type(value).__name__
