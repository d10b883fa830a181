"""Keys over HTTP on a running platform (contracts/neo.md 2; check 27)."""

import httpx

from tests.e2e.neo.conftest import Account, NewAccounts
from tests.support.builders import neo_function, unique

ECHO = "module.exports = ({ params }) => params"


def test_a_key_that_may_only_read_reads_and_does_nothing_else(account: Account) -> None:
    name = account.functions.create_neo(ECHO)
    reader = account.client("read")

    for path in ("", f"/{name}", f"/{name}/environment", f"/{name}/executions"):
        assert reader.get(f"/v1/functions{path}").status_code == 200
    for answer in (
        reader.post("/v1/functions", json=neo_function(unique("refused"), ECHO)),
        reader.put(f"/v1/functions/{name}", json={"timeout": 5}),
        reader.post(f"/v1/functions/{name}/invoke"),
        reader.delete(f"/v1/functions/{name}"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_a_revoked_key_is_refused_at_once_in_both_headers(account: Account, anonymous: httpx.Client) -> None:
    made = account.neo.post("/v1/api-keys", json={"name": "short-lived"}).json()["data"]
    shown = ({"X-API-Key": made["key"]}, {"Authorization": f"Bearer {made['key']}"})
    assert [anonymous.get("/v1/functions", headers=each).status_code for each in shown] == [200, 200]

    account.neo.delete(f"/v1/api-keys/{made['id']}").raise_for_status()

    assert [anonymous.get("/v1/functions", headers=each).status_code for each in shown] == [401, 401]


def test_a_key_of_another_account_reaches_nothing(new_account: NewAccounts) -> None:
    mine, theirs = new_account(), new_account()
    name = theirs.functions.create_neo(ECHO)

    stranger = mine.client("admin")

    assert stranger.get(f"/v1/functions/{name}").status_code == 404
    ids = [each["id"] for each in theirs.neo.get("/v1/api-keys").json()["data"]]
    assert [stranger.delete(f"/v1/api-keys/{each}").status_code for each in ids] == [404] * len(ids)


def test_an_api_key_is_shown_in_the_answer_that_makes_it_and_in_no_other(account: Account) -> None:
    made = account.neo.post("/v1/api-keys", json={"name": "seen once", "permissions": ["admin"]}).json()["data"]
    rotated = account.neo.post(f"/v1/api-keys/{made['id']}/rotate").json()["data"]

    listed = account.neo.get("/v1/api-keys").text

    for key in (made["key"], rotated["key"]):
        assert key not in listed
        assert key[:11] in listed
        assert account.client_with(key).get("/v1/functions").status_code == 200
