"""People on a real platform: its administrator, and somebody who signs up and asks a colleague in."""

import httpx

from tests.support.builders import unique
from tests.support.platform import EMAIL, PASSWORD, Platform, client_of


def logged_in(platform: Platform, answer: httpx.Response) -> httpx.Client:
    token = answer.raise_for_status().json()["data"]["token"]
    return client_of(platform.address, {"Authorization": f"Bearer {token}"})


def signed_up(platform: Platform, email: str) -> httpx.Client:
    body = {"email": email, "password": PASSWORD, "name": "Ada Lovelace"}
    with platform.anonymous() as nobody:
        return logged_in(platform, nobody.post("/api/auth/signup", json=body))


def test_the_administrator_logs_in_and_is_in_the_environment_the_other_dialects_use(platform: Platform) -> None:
    with platform.anonymous() as nobody:
        admin = logged_in(platform, nobody.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD}))
    with admin:
        [workspace] = admin.get("/api/workspaces").json()["data"]
        environment = admin.get("/api/projects/default/environments/master").json()["data"]

    assert (workspace["slug"], workspace["userRole"]) == ("default", "owner")
    assert environment["isDefault"]


def test_a_colleague_who_is_asked_in_works_in_the_same_project_until_they_are_removed(platform: Platform) -> None:
    email = f"{unique('bo')}@example.com"
    with signed_up(platform, f"{unique('ada')}@example.com") as ada, signed_up(platform, email) as bo:
        slug = ada.get("/api/workspaces").json()["data"][0]["slug"]
        project = ada.post("/api/projects", json={"name": unique("shop")}).json()["data"]["slug"]
        members = f"/api/workspaces/{slug}/members"
        path = f"/api/projects/{project}/environments"
        assert bo.post(path, json={"name": "Live"}).status_code == httpx.codes.FORBIDDEN

        invited = ada.post(members, json={"email": email, "role": "dev"}).json()["data"]["invitation"]
        bo.post(f"/api/workspaces/invitations/{invited['id']}/accept").raise_for_status()
        assert bo.post(path, json={"name": "Live"}).status_code == httpx.codes.CREATED
        me = bo.get("/api/users/profile").json()["data"]["id"]
        ada.delete(f"{members}/{me}").raise_for_status()

        assert bo.get(path).status_code == httpx.codes.FORBIDDEN
        assert bo.post("/api/auth/logout").status_code == httpx.codes.OK
        assert bo.get("/api/projects").status_code == httpx.codes.UNAUTHORIZED
