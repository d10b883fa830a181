"""The URLs of functions on a real platform, and the variables these run with."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.gateways.test_functions import Shop, shop
from tests.support.builders import NODE, PYTHON
from tests.support.fixtures_npm import installed_app

__all__ = ["shop"]

EXPRESS = Path(__file__).parents[1] / "functions" / "express"


def files_of(app: Path) -> dict[str, str | bytes]:
    """Return the programs of an application: what only people and tools read would be skipped or is not needed."""
    kept = (".js", ".json", ".cjs", ".mjs")
    return {
        path.relative_to(app).as_posix(): path.read_bytes()
        for path in sorted(app.rglob("*"))
        if path.is_file() and path.suffix in kept
    }


@pytest.mark.parametrize(("runtime", "handler"), [(NODE, "index.handler"), (PYTHON, "lambda_function.lambda_handler")])
def test_anybody_calls_a_starter_by_its_url(shop: Shop, runtime: str, handler: str) -> None:
    endpoint = shop.create(runtime, handler)["endpoint"]

    answer = httpx.post(f"{endpoint}a/b?c=d", json={"a": 1}, headers={"Origin": "https://a.example"}, timeout=30)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "application/json" in answer.headers["Content-Type"]
    assert "/a/b" in answer.text


def test_a_real_application_is_served_at_its_url(shop: Shop) -> None:
    made = shop.create(NODE, "index.handler")
    assert shop.upload(made["id"], files_of(installed_app(EXPRESS))).status_code == 200

    with httpx.Client(base_url=made["endpoint"], timeout=30) as anybody:
        assert anybody.get("").text == "home"
        order = anybody.get("orders/a%20b?x=1&x=2").json()
        created = anybody.post("orders", json={"id": 7, "name": "grüße"})
        reversed_ = anybody.post(
            "reverse", content=bytes(range(256)), headers={"Content-Type": "application/octet-stream"}
        )
        cookie = anybody.get("cookie", headers={"Cookie": "seen=before"})
        moved = anybody.get("old", follow_redirects=False)
        deleted = anybody.delete("orders/7")
        missing = anybody.get("nowhere/at/all")

    assert order["id"] == "a b"
    assert (created.status_code, created.headers["Location"]) == (201, "/orders/7")
    assert created.json() == {"created": {"id": 7, "name": "grüße"}}
    assert reversed_.content == bytes(range(256))[::-1]
    assert (cookie.text, cookie.headers["Set-Cookie"]) == ("seen=before", "seen=yes; Path=/; HttpOnly")
    assert (moved.status_code, moved.headers["Location"]) == (302, "/new")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (missing.status_code, missing.json()) == (404, {"missing": "/nowhere/at/all"})


def test_a_function_has_its_variables_and_nobody_is_shown_the_locked_ones(shop: Shop) -> None:
    given = {
        "environmentVariables": {"MODE": "live", "TOKEN": "hunter2-and-more"},
        "environmentVariablesLocked": ["TOKEN"],
    }
    made = shop.create(NODE, "index.handler", **given)
    code = "exports.handler = async () => ({ mode: process.env.MODE, length: process.env.TOKEN.length })"
    shop.upload(made["id"], {"index.js": code}).raise_for_status()

    assert httpx.get(made["endpoint"], timeout=30).json() == {"mode": "live", "length": 16}
    path = f"{shop.place}/functions/{made['id']}"
    kept = shop.client.put(
        path, json={"environmentVariables": {"MODE": "test", "TOKEN": "********"}}
    ).raise_for_status()
    assert httpx.get(made["endpoint"], timeout=30).json() == {"mode": "test", "length": 16}

    resource = f"{shop.place}/resources/{made['id']}"
    shown = [kept.text, *(shop.client.get(each).text for each in (path, f"{shop.place}/functions", resource))]
    shown += [shop.client.get("/api/activities").text, shop.client.put(f"{resource}/sync").text]
    assert not [text for text in shown if "hunter2" in text]


def test_a_function_that_breaks_is_a_502_and_a_deleted_one_is_gone(shop: Shop) -> None:
    made = shop.create(PYTHON, "app.main")
    shop.upload(made["id"], {"app.py": "def main(event, context):\n    raise ValueError('no')\n"}).raise_for_status()

    broken = httpx.get(made["endpoint"], timeout=30)
    assert (broken.status_code, broken.json()) == (502, {"Message": "Internal Server Error"})

    shop.client.delete(f"{shop.place}/resources/{made['id']}").raise_for_status()
    assert httpx.get(made["endpoint"], timeout=30).status_code == 404
