"""Accounts do not see each other."""

from pathlib import Path
from subprocess import run
from sys import executable

import httpx
import pytest

from tests.e2e.neo.conftest import NewAccounts
from tests.support.builders import unique
from tests.support.platform import ROOT, Platform, client_of

ECHO = "module.exports = ({ params }) => params"


def test_a_function_of_another_account_does_not_exist(new_account: NewAccounts) -> None:
    mine, theirs = new_account(), new_account()
    name = theirs.functions.create_neo(ECHO)
    function_id = theirs.neo.get(f"/v1/functions/{name}").json()["data"]["id"]

    for handle in (name, function_id):
        for answer in (
            mine.neo.get(f"/v1/functions/{handle}"),
            mine.neo.put(f"/v1/functions/{handle}", json={"timeout": 5}),
            mine.neo.delete(f"/v1/functions/{handle}"),
            mine.neo.post(f"/v1/functions/{handle}/invoke"),
            mine.neo.get(f"/v1/functions/{handle}/executions"),
            mine.neo.put(f"/v1/functions/{handle}/secrets", json={"secrets": ["x"]}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "function_not_found")
    assert mine.neo.get("/v1/functions").json()["data"] == []


def test_accounts_may_use_the_same_names(new_account: NewAccounts) -> None:
    one, other = new_account(), new_account()
    name = one.functions.create_neo("module.exports = () => 'one'")
    answer = other.neo.post(
        "/v1/functions", json={"name": name, "runtime": "node18", "code": "module.exports = () => 'other'"}
    )

    assert answer.status_code == 201
    assert one.functions.invoke(name).json()["data"]["result"] == "one"
    assert other.neo.post(f"/v1/functions/{name}/invoke").json()["data"]["result"] == "other"
    other.neo.delete(f"/v1/functions/{name}").raise_for_status()


@pytest.fixture
def added_key(platform: Platform) -> str:
    """The key that ``./tidemill account add`` prints."""
    data_dir = platform.processes["tidemill"].log.parent / "data"
    return _add_account(data_dir)


def _add_account(data_dir: Path) -> str:
    done = run(
        [executable, "-m", "services", "account", "--data-dir", str(data_dir), "add", unique("account")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [_, key] = [line.rpartition(" ")[2] for line in done.stdout.splitlines()]
    return key


def test_an_account_is_added_with_a_key_that_may_do_everything_in_it(platform: Platform, added_key: str) -> None:
    with client_of(platform.address, {"X-API-Key": added_key}) as client:
        body = {"name": "mine", "runtime": "node18", "code": ECHO}
        assert client.post("/v1/functions", json=body).status_code == httpx.codes.CREATED
        assert [each["name"] for each in client.get("/v1/functions").json()["data"]] == ["mine"]
        assert client.delete("/v1/functions/mine").status_code == httpx.codes.OK
