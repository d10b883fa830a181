"""Functions on a real platform, from their starter to code of their own, called directly and through other dialects."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.gateways.test_people import signed_up
from tests.support.builders import NODE, PYTHON, unique, zipped
from tests.support.platform import Platform

BOOTSTRAP = """#!/bin/sh
API="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while true; do
  EVENT=$(curl -sS -D "$TMPDIR/headers" "$API/invocation/next")
  ID=$(grep -i '^lambda-runtime-aws-request-id:' "$TMPDIR/headers" | cut -d: -f2 | tr -d '[:space:]')
  curl -sS -o /dev/null "$API/invocation/$ID/response" -d "{\\"got\\":$EVENT}"
done
"""


class Shop:
    """The first project of somebody, which is on this platform itself."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        project = client.post("/api/projects", json={"name": unique("shop")}).raise_for_status().json()["data"]["slug"]
        self.place = f"/api/{project}/master"

    def create(self, runtime: str, handler: str, **fields: Any) -> Any:
        body = {"name": unique("fn"), "runtime": runtime, "handler": handler, "region": "local", **fields}
        answer = self.client.post(f"{self.place}/functions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def upload(self, number: int, files: dict[str, str | bytes]) -> httpx.Response:
        path = f"{self.place}/functions/{number}/upload"
        return self.client.post(path, files={"file": ("code.zip", zipped(files))})

    def invoke(self, number: int, payload: Any = None) -> Any:
        answer = self.client.post(f"{self.place}/functions/{number}/invoke", json={"payload": payload})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module")
def shop(platform: Platform) -> Iterator[Shop]:
    with signed_up(platform, f"{unique('eve')}@example.com") as client:
        yield Shop(client)


@pytest.mark.parametrize(
    ("runtime", "handler"), [(NODE, "index.handler"), (NODE, "lib/api.deep.run"), (PYTHON, "pkg/app.main")]
)
def test_the_starter_runs(shop: Shop, runtime: str, handler: str) -> None:
    made = shop.create(runtime, handler)

    told = shop.invoke(made["id"], {"a": 1})

    assert (told["hasError"], told["payload"]["statusCode"]) == (False, 200)
    assert json.loads(told["payload"]["body"])["event"] == {"a": 1}


def test_new_code_and_variables_answer_the_next_call_and_the_log_comes_along(shop: Shop) -> None:
    number = shop.create(NODE, "index.handler")["id"]
    code = "exports.handler = async (event) => { console.log('hello', event.n); return process.env.MODE }"

    assert shop.upload(number, {"index.js": code}).json()["data"]["count"] == 1
    path = f"{shop.place}/functions/{number}"
    shop.client.put(path, json={"environmentVariables": {"MODE": "live"}}).raise_for_status()

    told = shop.invoke(number, {"n": 7})
    assert told["payload"] == "live"
    assert "hello 7" in told["logs"]
    other = {"path": "index.js", "content": "exports.handler = async () => require('./lib/x').y"}
    shop.client.post(f"{path}/files", json={"path": "lib/x.js", "content": "exports.y = 42"}).raise_for_status()
    shop.client.put(f"{path}/files", json=other).raise_for_status()
    assert shop.invoke(number)["payload"] == 42


def test_what_goes_wrong_in_a_function_is_told(shop: Shop) -> None:
    number = shop.create(PYTHON, "app.main")["id"]

    shop.upload(number, {"app.py": "def main(event, context):\n    raise ValueError('no')\n"}).raise_for_status()
    thrown = shop.invoke(number)
    assert (thrown["functionError"], thrown["payload"]["errorType"]) == ("Unhandled", "ValueError")

    shop.upload(number, {"other.py": "x = 1\n"}).raise_for_status()
    assert shop.invoke(number)["payload"]["errorType"] == "Runtime.ImportModuleError"


def test_a_function_of_its_own_program_fails_until_the_program_is_there(shop: Shop) -> None:
    number = shop.create("provided.al2023", "bootstrap")["id"]
    assert shop.invoke(number)["hasError"]

    shop.upload(number, {"bootstrap": BOOTSTRAP}).raise_for_status()

    assert shop.invoke(number, [1])["payload"] == {"got": [1]}


def test_calls_go_on_while_the_code_is_replaced(shop: Shop) -> None:
    number = shop.create(NODE, "index.handler")["id"]
    sets: list[dict[str, str | bytes]] = [
        {"index.js": "exports.handler = async () => require('./n')", "n.js": f"module.exports = {n}"} for n in range(10)
    ]

    with ThreadPoolExecutor(4) as pool:
        uploads = [pool.submit(shop.upload, number, files) for files in sets]
        called = [shop.invoke(number) for _ in range(10)]
        statuses = {upload.result().status_code for upload in uploads}

    assert statuses <= {200, 409}
    assert not any(told["hasError"] for told in called)
    files = shop.client.get(f"{shop.place}/functions/{number}/files").json()["data"]
    assert [file["path"] for file in files] == ["index.js", "n.js"]
    left = shop.client.get(f"{shop.place}/functions/{number}/files/n.js").json()["data"]["content"]
    assert f"module.exports = {shop.invoke(number)['payload']}" == left
