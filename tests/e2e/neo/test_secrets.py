"""Secrets: kept, granted, given to runs, changed, revoked, and never seen anywhere else."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from shared.database.pool import Database
from tests.e2e.neo.conftest import Account, NewAccounts, database_of
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform

VALUE = "correct-horse-battery-staple"
STALE = 'tidemill_workers_ended_total{reason="stale"}'
TELL = "module.exports = ({ secrets }) => ({ ...secrets })"


def create(account: Account, name: str, value: str = VALUE, **fields: Any) -> dict[str, Any]:
    answer = account.neo.post("/v1/secrets", json={"name": name, "value": value, **fields})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


def told(account: Account, name: str) -> Any:
    answer = account.functions.invoke(name)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()["data"]["result"]


def told_later(account: Account, name: str) -> Any:
    """Run it asynchronously; return its result."""
    started = account.functions.invoke(name, **{"async": True}).json()["data"]["execution"]["id"]
    record = eventually_sync(
        lambda: (found := account.functions.execution(name, started))["status"] != "running" and found, within_s=20
    )
    assert record["status"] == "completed", record
    return record["result"]


def test_a_secret_lives_from_create_to_delete_and_its_value_is_in_no_answer(account: Account) -> None:
    created = create(account, "price-api", description="of the exchange")

    assert re.fullmatch(r"sec_[a-z0-9]{10}", created["id"])
    assert (created["name"], created["description"], created["version"], created["functions"]) == (
        "price-api",
        "of the exchange",
        1,
        None,
    )
    by_id = account.neo.get(f"/v1/secrets/{created['id']}")
    by_name = account.neo.get("/v1/secrets/price-api")
    assert by_id.json() == by_name.json() == {"success": True, "data": created}
    changed = account.neo.put("/v1/secrets/price-api", json={"value": "another " + VALUE})
    assert changed.json()["data"]["version"] == 2
    listed = account.neo.get("/v1/secrets")
    assert listed.json()["pagination"] == {"total": 1, "limit": 20, "offset": 0, "hasMore": False}
    deleted = account.neo.delete(f"/v1/secrets/{created['id']}")
    assert deleted.json() == {"success": True, "data": {"id": created["id"], "deleted": True}}
    gone = account.neo.get("/v1/secrets/price-api")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")
    for answer in (by_id, by_name, changed, listed, deleted):
        assert VALUE not in answer.text


@pytest.mark.parametrize("run", [told, told_later], ids=["sync", "async"])
def test_a_value_reaches_only_functions_that_list_it_and_only_while_they_do(account: Account, run: Any) -> None:
    create(account, "one", VALUE)
    create(account, "other", "not for everybody")
    granted = account.functions.create_neo(TELL, secrets=["one", "nobody-made-this"])
    without = account.functions.create_neo(TELL)

    assert run(account, granted) == {"one": VALUE}
    assert run(account, without) == {}
    account.neo.put(f"/v1/functions/{granted}/secrets", json={"secrets": []}).raise_for_status()
    assert run(account, granted) == {}


@pytest.mark.parametrize("run", [told, told_later], ids=["sync", "async"])
def test_a_change_of_a_secret_counts_from_the_next_run_on(account: Account, run: Any) -> None:
    name = account.functions.create_neo(TELL, secrets=["late"])
    assert run(account, name) == {}

    create(account, "late", VALUE)
    assert run(account, name) == {"late": VALUE}
    account.neo.put("/v1/secrets/late", json={"value": "rotated"}).raise_for_status()
    assert run(account, name) == {"late": "rotated"}
    account.neo.delete("/v1/secrets/late").raise_for_status()
    assert run(account, name) == {}
    assert account.neo.get(f"/v1/functions/{name}").json()["data"]["secrets"] == ["late"]


def test_a_change_of_a_secret_does_not_date_its_functions(account: Account) -> None:
    name = account.functions.create_neo(TELL, secrets=["key"])
    before = account.neo.get(f"/v1/functions/{name}").json()["data"]

    create(account, "key")
    account.neo.put("/v1/secrets/key", json={"value": "second value"}).raise_for_status()

    assert told(account, name) == {"key": "second value"}
    after = account.neo.get(f"/v1/functions/{name}").json()["data"]
    assert {**after, "stats": None} == {**before, "stats": None}


def counter(account: Account, name: str) -> float:
    """Return a counter of the pool."""
    text = account.neo.get("/metrics").text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_workers_outlive_a_change_of_a_secret_as_they_do_not_a_change_of_their_version(account: Account) -> None:
    kept = account.functions.create_neo(TELL, secrets=["key"])
    changed = account.functions.create_neo(TELL)
    assert (told(account, kept), told(account, changed)) == ({}, {})
    started, ended = counter(account, "tidemill_cold_starts_total"), counter(account, STALE)

    create(account, "key")
    account.neo.put(f"/v1/functions/{changed}", json={"environment": {"A": "1"}}).raise_for_status()
    eventually_sync(lambda: counter(account, STALE) > ended, within_s=10)

    assert told(account, kept) == {"key": VALUE}
    assert counter(account, "tidemill_cold_starts_total") == started


def test_the_allow_list_of_a_secret_narrows_who_gets_it(account: Account) -> None:
    named = account.functions.create_neo(TELL, secrets=["narrow"])
    unnamed = account.functions.create_neo(TELL, secrets=["narrow"])
    function_id = account.neo.get(f"/v1/functions/{named}").json()["data"]["id"]

    created = create(account, "narrow", VALUE, functions=[function_id])

    assert created["functions"] == [function_id]
    assert (told(account, named), told(account, unnamed)) == ({"narrow": VALUE}, {})
    opened = account.neo.put("/v1/secrets/narrow", json={"functions": None}).json()["data"]
    assert (opened["functions"], opened["version"]) == (None, 1)
    assert told(account, unnamed) == {"narrow": VALUE}
    account.neo.put("/v1/secrets/narrow", json={"functions": []}).raise_for_status()
    assert (told(account, named), told(account, unnamed)) == ({}, {})


def test_a_secret_of_another_account_does_not_exist(new_account: NewAccounts) -> None:
    mine, theirs = new_account(), new_account()
    secret = create(theirs, "shared-name", VALUE)
    name = mine.functions.create_neo(TELL, secrets=["shared-name"])

    for handle in ("shared-name", secret["id"]):
        for answer in (
            mine.neo.get(f"/v1/secrets/{handle}"),
            mine.neo.put(f"/v1/secrets/{handle}", json={"value": "stolen"}),
            mine.neo.delete(f"/v1/secrets/{handle}"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert mine.neo.get("/v1/secrets").json()["data"] == []
    assert told(mine, name) == {}
    create(mine, "shared-name", "mine")
    assert told(mine, name) == {"shared-name": "mine"}


def test_secrets_can_be_asked_for_by_name_in_the_older_way(account: Account) -> None:
    create(account, "external-api-key", VALUE)
    name = account.functions.create_neo(
        "module.exports = async ({ secrets }) => [await secrets.get('external-api-key'), Object.keys(secrets)]",
        secrets=["external-api-key"],
    )

    assert told(account, name) == [VALUE, ["external-api-key"]]


def test_every_access_is_written_down_and_no_value(account: Account, platform: Platform) -> None:
    allowed, elsewhere = create(account, "allowed"), create(account, "elsewhere", functions=["func_0000000000"])
    name = account.functions.create_neo(TELL, secrets=["allowed", "elsewhere", "nobody"])
    runs = [account.functions.invoke(name).headers["X-Execution-Id"] for _ in range(2)]
    runs.append(account.functions.invoke(name, **{"async": True}).headers["X-Execution-Id"])

    def accesses() -> list[tuple[str, str, bool]]:
        rows = asyncio.run(
            fetch(platform, "SELECT * FROM secret_accesses WHERE account_id = $1 ORDER BY at", account.made.account_id)
        )
        assert VALUE not in str(rows)
        return [(f"exec_{row['record_id']}", row["secret_name"], row["granted"]) for row in rows]

    eventually_sync(lambda: len(accesses()) == 9, within_s=20)
    assert sorted(accesses()) == sorted(
        (run, secret, granted)
        for run in runs
        for secret, granted in ((allowed["name"], True), (elsewhere["name"], False), ("nobody", False))
    )


async def fetch(platform: Platform, sql: str, *arguments: object) -> list[dict[str, Any]]:
    """Ask the platform's database."""
    db = await Database.connect(database_of(platform), max_size=1)
    try:
        return [dict(row) for row in await db.fetch(sql, *arguments)]
    finally:
        await db.close()


LOGGING = """
module.exports = async ({ secrets, log, params }) => {
  const key = secrets.key
  log.info('using', key)
  log.warn({ headers: { authorization: `Bearer ${key}` } })
  console.log(JSON.stringify({ key }), [key, key])
  log.info('x'.repeat(4090) + key)
  console.error(new Error('wrong key ' + key))
  log.info(key.slice(0, 3))
  if (params.how === 'throw') { const e = new Error(`refused ${key}`); e.name = key + 'Error'; throw e }
  if (params.how === 'reject') return Promise.reject('refused ' + key)
  if (params.how === 'loop') for (;;);
  return { key }
}
"""


@pytest.mark.parametrize("value", [VALUE, "line one is long enough\nline \"two\"\n\tand 'three' \\ four é"])
@pytest.mark.parametrize("how", ["return", "throw", "reject", "loop"])
def test_a_value_is_in_no_log_line_and_no_error_however_the_run_ends(account: Account, how: str, value: str) -> None:
    create(account, "key", value)
    name = account.functions.create_neo(LOGGING, secrets=["key"], timeout=1 if how == "loop" else 30)

    answer = account.functions.invoke(name, {"how": how})

    execution = answer.headers["X-Execution-Id"]
    eventually_sync(lambda: account.neo.get(f"/v1/functions/{name}/executions/{execution}").status_code == 200)
    record = account.functions.execution(name, execution)
    assert len(record["logs"]) == 6
    assert record["logs"][0]["message"] == "using ***"
    assert record["logs"][3]["message"] == "x" * 4090 + "***…(truncated)"
    assert record["logs"][5]["message"] == value[:3]
    shown = str(record["logs"]) + str(record.get("error")) + (answer.text if how != "return" else "")
    for part in (value, *value.split("\n"), value[:6]):
        assert part not in shown
    if how == "return":
        assert answer.json()["data"]["result"] == record["result"] == {"key": value}
    if how == "throw":
        assert answer.json()["error"]["details"]["name"] == "***Error"
        assert answer.json()["error"]["details"]["message"] == "refused ***"
        assert answer.json()["error"]["details"]["stack"].count("***") >= 1
    if how == "reject":
        assert answer.json()["error"]["details"]["message"] == "refused ***"


def test_an_asynchronous_run_keeps_values_out_of_its_record_too(account: Account) -> None:
    create(account, "key", VALUE)
    name = account.functions.create_neo(LOGGING, secrets=["key"])
    started = account.functions.invoke(name, {"how": "throw"}, **{"async": True}).json()["data"]["execution"]["id"]

    def ended() -> dict[str, Any]:
        found = account.functions.execution(name, started)
        assert found["status"] == "failed"
        assert len(found["logs"]) == 6
        return found

    record = eventually_sync(ended, within_s=20)

    assert record["error"]["message"] == "refused ***"
    assert VALUE not in str(record)
    assert VALUE[:6] not in str(record)
