"""Receipts of real runs, checked by three that know nothing of each other: Node.js, the command, the platform."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.neo.conftest import Account
from tests.support.backends import open_directory
from tests.support.builders import neo_function
from tests.support.documented_receipts import verified_in_node
from tests.support.eventually import eventually_sync
from tests.support.platform import ROOT, Platform, all_in_one

CODE = """
module.exports = async ({ params }) => {
  if (params.loop) while (true) {}
  if (params.bad) throw new RangeError('too far \\u00fc');
  return { half: '\\ud83d', n: 1.0, tiny: 5e-9, big: 2 ** 70, missing: undefined, of: params };
};
"""
PARAMS = {"é": [1.5, 12345678901234567890, -0.0, 1e21], "\U0001f30a": 1, "\uffee": 2, "a": None}


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as made:
        yield made


@pytest.fixture
def function(account: Account) -> str:
    return account.functions.create_neo(CODE, timeout=1)


def with_receipt(neo: httpx.Client, name: str, execution_id: str) -> dict[str, Any]:
    """Return an execution once it has ended and been signed."""

    def there() -> dict[str, Any]:
        answer = neo.get(f"/v1/functions/{name}/executions/{execution_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        record: dict[str, Any] = answer.json()["data"]
        assert record["receipt"] is not None
        return record

    return eventually_sync(there, within_s=15)


def ran(account: Account, name: str, params: Mapping[str, Any], *, later: bool = False) -> dict[str, Any]:
    answer = account.neo.post(f"/v1/functions/{name}/invoke", json={"params": params, "async": later})
    return with_receipt(account.neo, name, answer.headers["X-Execution-Id"])


def attested(neo: httpx.Client) -> dict[str, Any]:
    document: dict[str, Any] = neo.get("/v1/attestation").json()["data"]
    return document


def judged(neo: httpx.Client, document: Mapping[str, Any]) -> bool:
    valid: bool = neo.post("/v1/attestation/verify", json={"document": document}).json()["data"]["valid"]
    return valid


def verified_by_command(directory: Path, execution: object, attestation: object, *options: str) -> bool:
    for name, content in (("execution.json", execution), ("attestation.json", attestation)):
        (directory / name).write_text(json.dumps(content), "utf-8")
    files = [str(directory / "execution.json"), "--attestation", str(directory / "attestation.json")]
    done = subprocess.run(
        [sys.executable, "-m", "services.verify_receipt", *files, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert ("FAIL" in done.stdout) == (done.returncode == 1), done.stdout + done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("params", "later", "status"),
    [
        (PARAMS, False, "completed"),
        (PARAMS, True, "completed"),
        ({"bad": 1}, False, "failed"),
        ({"bad": 1}, True, "failed"),
        ({"loop": 1}, False, "failed"),
    ],
    ids=["sync", "async", "failed", "failed async", "timed out"],
)
def test_a_receipt_verifies_everywhere_and_no_more_with_one_member_changed(
    account: Account, function: str, directory: Path, params: Mapping[str, Any], *, later: bool, status: str
) -> None:
    execution, attestation = ran(account, function, params, later=later), attested(account.neo)
    receipt = execution["receipt"]
    (directory / "code.js").write_text(CODE, "utf-8")

    assert (execution["status"], receipt["status"]) == (status, status)
    assert receipt["simulated"] is True
    assert verified_in_node(directory, execution, attestation)
    assert verified_by_command(directory, execution, attestation, "--code", str(directory / "code.js"))
    assert judged(account.neo, receipt)

    outcome = "resultHash" if status == "completed" else "errorHash"
    for name, value in (("paramsHash", "0" * 64), (outcome, "0" * 64), ("completedAt", "2030-01-01T00:00:00Z")):
        changed = {**execution, "receipt": {**receipt, name: value}}
        assert not verified_in_node(directory, changed, attestation)
        assert not judged(account.neo, changed["receipt"])
    assert not verified_by_command(directory, {**execution, "receipt": {**receipt, "codeHash": "0" * 64}}, attestation)
    assert not verified_in_node(directory, {**execution, "params": {"other": 1}}, attestation)
    assert not verified_by_command(directory, {**execution, "params": {"other": 1}}, attestation)


def test_a_large_result_is_signed_soon_after(account: Account, directory: Path) -> None:
    name = account.functions.create_neo("module.exports = () => Array.from({ length: 20000 }, (_, i) => i / 7 * 1e20)")

    execution, attestation = ran(account, name, {}), attested(account.neo)

    assert verified_in_node(directory, execution, attestation)
    assert verified_by_command(directory, execution, attestation)


def test_the_code_is_that_of_the_version_that_ran(account: Account) -> None:
    name = account.functions.create_neo("module.exports = () => 1")
    first, same = ran(account, name, {}), ran(account, name, {})
    account.neo.put(f"/v1/functions/{name}", json={"timeout": 5}).raise_for_status()
    settings_changed = ran(account, name, {})
    account.neo.put(f"/v1/functions/{name}", json={"code": "module.exports = () => 2"}).raise_for_status()
    other = ran(account, name, {})

    hashes = [each["receipt"]["codeHash"] for each in (first, same, settings_changed, other)]

    assert len(set(hashes[:3])) == 1
    assert hashes[3] != hashes[0]


def test_while_a_run_goes_on_it_has_no_receipt(account: Account) -> None:
    name = account.functions.create_neo("module.exports = () => new Promise(r => setTimeout(r, 1500))")
    answer = account.neo.post(f"/v1/functions/{name}/invoke", json={"async": True})
    execution_id = answer.headers["X-Execution-Id"]

    running = account.functions.execution(name, execution_id)

    assert (running["status"], running["receipt"]) == ("running", None)
    assert with_receipt(account.neo, name, execution_id)["receipt"]["status"] == "completed"


def test_another_accounts_receipts_are_not_shown(account: Account, platform: Platform, function: str) -> None:
    execution = ran(account, function, {})

    with platform.neo() as stranger:
        answer = stranger.get(f"/v1/functions/{function}/executions/{execution['id']}")

    assert answer.status_code == 404


def test_keys_outlive_a_restart_and_what_a_retired_one_signed_still_verifies(directory: Path) -> None:
    rotate = [sys.executable, "-m", "services", "signing-key", "rotate", "--data-dir", str(directory / "data")]
    with all_in_one(directory) as first, first.neo() as neo:
        neo.post("/v1/functions", json=neo_function("one", "module.exports = () => 1")).raise_for_status()
        before, old = _run(neo), attested(neo)
        said = subprocess.run(rotate, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout

    with all_in_one(directory) as second, second.neo() as neo:
        after, new = _run(neo), attested(neo)
        assert [judged(neo, each) for each in (before["receipt"], after["receipt"], old, new)] == [True] * 4

    assert new["keyId"] in said
    assert [(key["keyId"], key["retiredAt"] is None) for key in new["keys"]] == [
        (new["keyId"], True),
        (old["keyId"], False),
    ]
    assert (before["receipt"]["keyId"], after["receipt"]["keyId"]) == (old["keyId"], new["keyId"])
    assert verified_by_command(directory, before, new)
    assert verified_by_command(directory, after, new)


def _run(neo: httpx.Client) -> dict[str, Any]:
    answer = neo.post("/v1/functions/one/invoke")
    return with_receipt(neo, "one", answer.headers["X-Execution-Id"])
