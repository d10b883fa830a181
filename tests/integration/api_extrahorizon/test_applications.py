"""OAuth applications and their versions, as the SDK's ``exh.auth.applications`` has them."""

from typing import Any

import httpx
import pytest

from tests.integration.api_extrahorizon.conftest import CLIENT_ID, EMAIL, PASSWORD, Horizon
from tests.support.oauth1 import OAuth1

APPLICATIONS = "/auth/v2/applications"
OAUTH1 = {"type": "oauth1", "name": "a command line", "description": "signs"}
OAUTH2 = {"type": "oauth2", "name": "a page", "description": "shows", "redirectUris": ["https://page.example/back"]}


async def made(horizon: Horizon, **body: Any) -> dict[str, Any]:
    answer = await horizon.admin.post(APPLICATIONS, json=body)
    assert answer.status_code == 200, answer.text
    application: dict[str, Any] = answer.json()
    return application


async def version_of(horizon: Horizon, application: dict[str, Any], name: str = "v1.0.0") -> dict[str, Any]:
    answer = await horizon.admin.post(f"{APPLICATIONS}/{application['id']}/versions", json={"name": name})
    assert answer.status_code == 200, answer.text
    version: dict[str, Any] = answer.json()
    return version


async def shown(horizon: Horizon, application: dict[str, Any]) -> dict[str, Any]:
    [found] = (await horizon.admin.get(f"{APPLICATIONS}?eq(id,{application['id']})")).json()["data"]
    return dict(found)


def refusal(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


def login(version: dict[str, Any], **more: str) -> dict[str, str]:
    return {
        "client_id": version["clientId"],
        "grant_type": "password",
        "username": EMAIL,
        "password": PASSWORD,
        **more,
    }


async def tokens(horizon: Horizon, body: dict[str, str]) -> httpx.Response:
    return await horizon.anonymous.post("/auth/v2/oauth2/tokens", json=body)


async def sign_in(horizon: Horizon, version: dict[str, Any]) -> OAuth1:
    """Log the administrator in by a version of an OAuth 1.0 application; return what signs for them."""
    consumer = OAuth1(key=version["consumerKey"], secret=version["consumerSecret"])
    answer = await horizon.anonymous.post(
        "/auth/v2/oauth1/tokens", json={"email": EMAIL, "password": PASSWORD}, auth=consumer
    )
    assert answer.status_code == 200, answer.text
    token = answer.json()
    return OAuth1(key=consumer.key, secret=consumer.secret, token=token["token"], token_secret=token["tokenSecret"])


async def test_an_application_is_made_without_versions_and_shown_as_it_was_made(horizon: Horizon) -> None:
    one, two = await made(horizon, **OAUTH1, logo="ff"), await made(horizon, **OAUTH2, logo="ff", confidential=True)

    assert {**one, "id": "", "creationTimestamp": "", "updateTimestamp": ""} == {
        **OAUTH1,
        "id": "",
        "versions": [],
        "creationTimestamp": "",
        "updateTimestamp": "",
    }
    assert (two["redirectUris"], two["confidential"], two["logo"]) == (OAUTH2["redirectUris"], True, "ff")
    assert len(one["id"]) == 24
    assert await shown(horizon, one) == one
    assert await shown(horizon, two) == two


async def test_a_version_has_a_key_and_shows_its_secret_once(horizon: Horizon) -> None:
    one, two, public = (
        await made(horizon, **OAUTH1),
        await made(horizon, **OAUTH2, confidential=True),
        await made(horizon, **OAUTH2),
    )

    consumer, client, open_client = [await version_of(horizon, each) for each in (one, two, public)]

    assert set(consumer) == {"id", "name", "consumerKey", "consumerSecret", "creationTimestamp"}
    assert set(client) == {"id", "name", "clientId", "clientSecret", "creationTimestamp"}
    assert set(open_client) == {"id", "name", "clientId", "creationTimestamp"}
    for application, version, secret in ((one, consumer, "consumerSecret"), (two, client, "clientSecret")):
        [listed] = (await shown(horizon, application))["versions"]
        assert listed == {name: value for name, value in version.items() if name != secret}


async def test_the_keys_of_a_version_open(horizon: Horizon) -> None:
    consumer = await version_of(horizon, await made(horizon, **OAUTH1))
    client = await version_of(horizon, await made(horizon, **OAUTH2, confidential=True))

    auth = await sign_in(horizon, consumer)
    assert (await horizon.anonymous.get("/users/v1/me", auth=auth)).status_code == 200

    assert (await tokens(horizon, login(client, client_secret=client["clientSecret"]))).status_code == 200
    for secret, code in (({}, 126), ({"client_secret": "guessed"}, 124)):
        refused = await tokens(horizon, login(client, **secret))
        assert (refused.status_code, refused.json()["error"], refused.json()["exh_error"]["code"]) == (
            401,
            "invalid_client",
            code,
        )


async def test_what_is_given_is_changed_and_the_rest_stays(horizon: Horizon) -> None:
    application = await made(horizon, **OAUTH2)
    path = f"{APPLICATIONS}/{application['id']}"

    answer = await horizon.admin.put(
        path, json={"type": "oauth2", "name": "renamed", "redirectUris": ["app:/back", "http://localhost:3000/"]}
    )

    assert answer.json() == {"affectedRecords": 1}
    changed = await shown(horizon, application)
    assert changed.pop("updateTimestamp") > application.pop("updateTimestamp")
    assert changed == {**application, "name": "renamed", "redirectUris": ["app:/back", "http://localhost:3000/"]}
    assert refusal(await horizon.admin.put(path, json={"type": "oauth1", "name": "x"})) == (400, 15)
    assert refusal(await horizon.admin.put(path, json={"name": "x"})) == (400, 14)


async def test_a_version_that_is_removed_turns_away_who_uses_it(horizon: Horizon) -> None:
    one, two = await made(horizon, **OAUTH1), await made(horizon, **OAUTH2)
    consumer, client = await version_of(horizon, one), await version_of(horizon, two)
    kept = await version_of(horizon, one, "v2")
    auth = await sign_in(horizon, consumer)
    issued = (await tokens(horizon, login(client))).json()
    assert (await horizon.anonymous.get("/users/v1/me", auth=auth)).status_code == 200

    for application, reference in ((one, consumer["id"]), (two, client["name"])):
        path = f"{APPLICATIONS}/{application['id']}/versions/{reference}"
        assert (await horizon.admin.delete(path)).json() == {"affectedRecords": 1}
        assert refusal(await horizon.admin.delete(path)) == (404, 16)

    assert refusal(await horizon.anonymous.get("/users/v1/me", auth=auth)) == (401, 107)
    again = OAuth1(
        key=kept["consumerKey"], secret=kept["consumerSecret"], token=auth.token, token_secret=auth.token_secret
    )
    assert (await horizon.anonymous.get("/users/v1/me", auth=again)).status_code == 200
    refresh = {
        "client_id": client["clientId"],
        "grant_type": "refresh_token",
        "refresh_token": issued["refresh_token"],
    }
    assert (await tokens(horizon, refresh)).json()["exh_error"]["code"] == 123
    assert [each["id"] for each in (await shown(horizon, one))["versions"]] == [kept["id"]]


async def test_an_application_that_is_removed_takes_everything_with_it(horizon: Horizon) -> None:
    one, two = await made(horizon, **OAUTH1), await made(horizon, **OAUTH2)
    consumer, client = await version_of(horizon, one), await version_of(horizon, two)
    auth = await sign_in(horizon, consumer)
    issued = (await tokens(horizon, login(client))).json()
    bearer = {"Authorization": f"Bearer {issued['access_token']}"}
    assert (await horizon.anonymous.get("/users/v1/me", headers=bearer)).status_code == 200

    for application in (one, two):
        path = f"{APPLICATIONS}/{application['id']}"
        assert (await horizon.admin.delete(path)).json() == {"affectedRecords": 1}
        assert refusal(await horizon.admin.delete(path)) == (404, 16)

    assert refusal(await horizon.anonymous.get("/users/v1/me", auth=auth)) == (401, 107)
    assert refusal(await horizon.anonymous.get("/users/v1/me", headers=bearer)) == (401, 117)
    for table in ("oauth1_consumers", "oauth1_tokens", "refresh_tokens"):
        owner = await horizon.db.fetchval(
            f"SELECT count(*) FROM {table} WHERE application_id = ANY($1)", [one["id"], two["id"]]
        )
        assert owner == 0


async def test_who_may_not_see_applications_sees_what_they_call_themselves(horizon: Horizon) -> None:
    await version_of(horizon, await made(horizon, **OAUTH2, logo="ff"))
    async with horizon.client(await horizon.user_token()) as member:
        found = (await member.get(f"{APPLICATIONS}?eq(name,a%2520page)")).json()
        hidden = await member.get(f"{APPLICATIONS}?eq(redirectUris,x)")

    assert found["data"] == [{"name": "a page", "description": "shows", "type": "oauth2", "logo": "ff"}]
    assert found["page"] == {"total": 1, "offset": 0, "limit": 20}
    assert refusal(hidden) == (400, 19)
    assert refusal(await horizon.anonymous.get(APPLICATIONS)) == (401, 104)


async def test_applications_are_found_by_every_field(horizon: Horizon) -> None:
    application = await made(horizon, **OAUTH2, confidential=True, logo="ff")
    await made(horizon, **OAUTH1)

    for term in (
        "eq(name,a%2520page)",
        "like(description,sho)",
        "eq(logo,ff)",
        "eq(type,oauth2)&eq(confidential,true)",
        "eq(redirectUris,https%253A%252F%252Fpage%252Eexample%252Fback)",
        "ge(creationTimestamp,2020-01-01)&contains(logo)",
        "gt(updateTimestamp,2020-01-01)&sort(-name)&ne(confidential,false)",
    ):
        found = (await horizon.admin.get(f"{APPLICATIONS}?{term}")).json()
        assert [each["id"] for each in found["data"]] == [application["id"]], term
    selected = (await horizon.admin.get(f"{APPLICATIONS}?eq(type,oauth1)&select(name)&limit(1)")).json()
    assert selected["data"] == [{"name": "a command line"}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**OAUTH1, "type": "oauth3"}, 15),
        ({"type": "oauth1", "name": "x"}, 14),
        ({**OAUTH2, "redirectUris": None}, 14),
        ({**OAUTH2, "redirectUris": []}, 15),
        ({**OAUTH2, "redirectUris": ["https://a.example/"] * 51}, 15),
        ({**OAUTH2, "redirectUris": ["/relative"]}, 15),
        ({**OAUTH2, "redirectUris": ["https://a.example/#part"]}, 15),
        ({**OAUTH2, "redirectUris": ["javascript:alert(1)"]}, 15),
        ({**OAUTH2, "redirectUris": ["https://a.example/\nx"]}, 15),
        ({**OAUTH2, "redirectUris": "https://a.example/"}, 15),
        ({**OAUTH2, "confidential": "yes"}, 15),
        ({**OAUTH1, "name": ""}, 15),
        ({**OAUTH1, "name": "x" * 101}, 15),
        ({**OAUTH1, "description": "x" * 251}, 15),
        ({**OAUTH2, "logo": "x" * 101}, 15),
    ],
)
async def test_an_application_that_is_none_is_refused(horizon: Horizon, body: dict[str, Any], code: int) -> None:
    assert refusal(await horizon.admin.post(APPLICATIONS, json=body)) == (400, code)


async def test_each_thing_needs_its_permission(horizon: Horizon) -> None:
    application = await made(horizon, **OAUTH2)
    path = f"{APPLICATIONS}/{application['id']}"
    asked = (
        ("CREATE_APPLICATIONS", "POST", APPLICATIONS, {**OAUTH2}),
        ("CREATE_APPLICATIONS", "POST", f"{path}/versions", {"name": "v"}),
        ("UPDATE_APPLICATIONS", "PUT", path, {"type": "oauth2", "name": "y"}),
        ("DELETE_APPLICATIONS", "DELETE", f"{path}/versions/v", None),
        ("DELETE_APPLICATIONS", "DELETE", path, None),
    )
    every = ("VIEW_APPLICATIONS", "CREATE_APPLICATIONS", "UPDATE_APPLICATIONS", "DELETE_APPLICATIONS")

    for permission, method, target, body in asked:
        others = [name for name in every if name != permission]
        async with horizon.client(await horizon.user_token(*others)) as member:
            assert refusal(await member.request(method, target, json=body)) == (401, 10)
        async with horizon.client(await horizon.user_token(permission)) as member:
            assert (await member.request(method, target, json=body)).status_code == 200


async def test_unknown_and_malformed_ids_are_told_apart(horizon: Horizon) -> None:
    unknown = f"{APPLICATIONS}/{'0' * 24}"

    assert refusal(await horizon.admin.put(unknown, json={"type": "oauth1"})) == (404, 16)
    assert refusal(await horizon.admin.delete(unknown)) == (404, 16)
    assert refusal(await horizon.admin.post(f"{unknown}/versions", json={"name": "v"})) == (404, 16)
    assert refusal(await horizon.admin.delete(f"{unknown}/versions/v")) == (404, 16)
    assert refusal(await horizon.admin.delete(f"{APPLICATIONS}/short")) == (400, 12)


async def test_two_versions_of_one_name_are_refused(horizon: Horizon) -> None:
    application = await made(horizon, **OAUTH1)
    await version_of(horizon, application, "v1")

    again = await horizon.admin.post(f"{APPLICATIONS}/{application['id']}/versions", json={"name": "v1"})

    assert refusal(again) == (400, 17)


async def test_the_first_application_is_one_of_them(horizon: Horizon) -> None:
    [first] = (await horizon.admin.get(f"{APPLICATIONS}?eq(id,{horizon.first.application_id})")).json()["data"]

    assert (first["type"], first["confidential"], first["redirectUris"]) == ("oauth2", False, [])
    assert [version["clientId"] for version in first["versions"]] == [CLIENT_ID]
