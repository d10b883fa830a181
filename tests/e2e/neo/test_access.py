"""Who may do what, and who is told nothing (contracts/neo.md 2; checks 1 and 27)."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest

from tests.e2e.neo.conftest import Account, NewAccounts
from tests.support.platform import Platform

OPEN = {"/v1/health", "/v1/attestation", "/v1/attestation/verify"}
UNAUTHORIZED = {"success": False, "error": {"code": "unauthorized", "message": "API key missing or not valid"}}
NEEDS = {
    ("GET", "/v1/functions"): "read",
    ("POST", "/v1/functions"): "write",
    ("GET", "/v1/functions/{functionId}"): "read",
    ("PUT", "/v1/functions/{functionId}"): "write",
    ("DELETE", "/v1/functions/{functionId}"): "admin",
    ("POST", "/v1/functions/{functionId}/invoke"): "execute",
    ("GET", "/v1/functions/{functionId}/executions"): "read",
    ("GET", "/v1/functions/{functionId}/executions/{executionId}"): "read",
    ("GET", "/v1/functions/{functionId}/environment"): "read",
    ("PUT", "/v1/functions/{functionId}/environment"): "write",
    ("PUT", "/v1/functions/{functionId}/secrets"): "write",
    ("GET", "/v1/secrets"): "read",
    ("POST", "/v1/secrets"): "write",
    ("GET", "/v1/secrets/{secretId}"): "read",
    ("PUT", "/v1/secrets/{secretId}"): "write",
    ("DELETE", "/v1/secrets/{secretId}"): "admin",
    ("GET", "/v1/api-keys"): "admin",
    ("POST", "/v1/api-keys"): "admin",
    ("DELETE", "/v1/api-keys/{keyId}"): "admin",
    ("POST", "/v1/api-keys/{keyId}/rotate"): "admin",
}
"""What a key must be allowed for each route; the description of the API says which routes there are."""


def described(platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield every route of the dialect that asks for a key."""
    for path, item in description(platform.address)["paths"].items():
        if path.startswith("/v1") and path not in OPEN:
            for method in item:
                yield method.upper(), path


@cache
def description(address: str) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{address}/openapi.json").json()
    return document


def filled(path: str, function: str = "nothing") -> str:
    return re.sub(r"\{[^}]+\}", "nothing", path.replace("{functionId}", function))


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "sl_" + "f" * 64}, {"Authorization": "Bearer no"}]
)
def test_every_route_but_health_and_attestation_wants_a_valid_key(
    platform: Platform, anonymous: httpx.Client, headers: dict[str, str]
) -> None:
    routes = list(described(platform))
    assert set(routes) == NEEDS.keys()

    for method, path in routes:
        answer = anonymous.request(method, filled(path), headers=headers)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED), (method, path)
    assert anonymous.get("/v1/health", headers=headers).status_code == 200
    assert anonymous.get("/v1/attestation", headers=headers).status_code == 200


def test_a_key_may_do_what_its_permissions_name_and_nothing_else(platform: Platform, account: Account) -> None:
    function = account.functions.create_neo("module.exports = () => 1")
    for permission in ("read", "write", "execute", "admin"):
        client = account.client(permission)
        for method, path in described(platform):
            if (method, path) == ("DELETE", "/v1/functions/{functionId}") and permission == "admin":
                continue  # it would be gone for the rest
            answer = client.request(method, filled(path, function))
            needed = NEEDS[method, path]
            if permission in {needed, "admin"}:
                assert answer.status_code not in {401, 403}, (permission, method, path)
            else:
                assert answer.status_code == 403, (permission, method, path)
                error = answer.json()["error"]
                assert (error["code"], error["details"]) == ("forbidden", {"required": needed})
    assert account.functions.invoke(function).json()["data"]["result"] == 1


def test_nothing_of_another_account_exists(platform: Platform, new_account: NewAccounts) -> None:
    one, other = new_account(), new_account()
    name = one.functions.create_neo("module.exports = () => 1")
    function_id = one.neo.get(f"/v1/functions/{name}").json()["data"]["id"]

    for method, path in described(platform):
        if not path.startswith("/v1/functions/"):
            continue
        for reference in (name, function_id):
            answer = other.neo.request(method, filled(path, reference))
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "function_not_found"), (method, path)
    assert other.neo.get("/v1/functions").json()["pagination"]["total"] == 0
    assert one.functions.invoke(name).status_code == 200


def test_a_bearer_is_taken_and_the_header_of_its_own_wins(account: Account, anonymous: httpx.Client) -> None:
    bearer = {"Authorization": f"Bearer {account.key}"}

    assert anonymous.get("/v1/functions", headers=bearer).status_code == 200
    assert anonymous.get("/v1/functions", headers={**bearer, "X-API-Key": "sl_wrong"}).status_code == 401
    assert anonymous.get("/v1/functions", headers={"Authorization": "x", "X-API-Key": account.key}).status_code == 200
