"""What is confided is on no disk in clear, and its master key can be replaced without losing anything."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.backends import open_directory
from tests.support.builders import neo_function, unique
from tests.support.eventually import eventually_sync
from tests.support.platform import ROOT, Platform, all_in_one, client_of

FIRST, SECOND = "plain-value-of-the-first-secret", "plain-value-of-the-second-secret"
ENVIRON = {"TIDEMILL_LOG_LEVEL": "debug"}
CODE = """
module.exports = async ({ secrets, log, params }) => {
  log.info('using', secrets.confided)
  if (params.fail) throw new Error(`refused ${secrets.confided}`)
  return secrets.confided.length
}
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as made:
        yield made


def keys(directory: Path, what: str) -> str:
    """Run ``./tidemill keys`` beside the platform; return what it says."""
    run = subprocess.run(
        [sys.executable, "-m", "services", "keys", "--data-dir", str(directory / "data"), what],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def found_in(directory: Path, words: list[str]) -> list[tuple[str, str]]:
    """
    Return which of the words, plain or in base64 or hex, is in which file below a directory.

    The runtimes' own files are left out: 400 MB that are copied before anything is confided.
    """
    forms = {
        word: (word.encode(), base64.b64encode(word.encode())[:-4], word.encode().hex().encode()) for word in words
    }
    found = []
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink() and "rootfs" not in path.parts:
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # a file of the database that has just gone
                continue
            found += [(word, path.name) for word in words if any(form in content for form in forms[word])]
    return found


def data_of(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()["data"]


def use(platform: Platform) -> list[str]:
    """Confide secrets and make keys, and use both in every way; return what must be found nowhere."""
    with platform.neo() as neo:
        data_of(neo.post("/v1/secrets", json={"name": "confided", "value": FIRST}))
        name = unique("confidant")
        data_of(neo.post("/v1/functions", json=neo_function(name, CODE, secrets=["confided"])))
        made = data_of(neo.post("/v1/api-keys", json={"name": "made"}))["key"]
        rotated = data_of(neo.post(f"/v1/api-keys/{data_of(neo.get('/v1/api-keys'))[0]['id']}/rotate"))["key"]
        for key, value in ((made, FIRST), (rotated, SECOND)):
            data_of(neo.put("/v1/secrets/confided", json={"value": value}))
            with client_of(platform.address, {"X-API-Key": key}) as client:
                assert data_of(client.post(f"/v1/functions/{name}/invoke"))["result"] == len(value)
                assert client.post(f"/v1/functions/{name}/invoke", json={"params": {"fail": 1}}).status_code == 500
                later = data_of(client.post(f"/v1/functions/{name}/invoke", json={"async": True}))["execution"]["id"]
                record = f"/v1/functions/{name}/executions/{later}"
                eventually_sync(lambda: data_of(client.get(record))["status"] == "completed", within_s=20)  # noqa: B023
                eventually_sync(lambda: data_of(client.get(record))["logs"], within_s=5)  # noqa: B023
            neo.get("/v1/secrets", headers={"X-API-Key": key + "0"})
    return [FIRST, SECOND, made, rotated]


def result_of(platform: Platform) -> int:
    """Run the function that was made by ``use``; it tells how long its secret is."""
    with platform.neo() as neo:
        [function] = data_of(neo.get("/v1/functions"))
        result: int = data_of(neo.post(f"/v1/functions/{function['id']}/invoke"))["result"]
    return result


def test_nothing_confided_is_on_disk_in_clear_and_its_master_key_can_be_replaced(directory: Path) -> None:
    own_file = directory / "data" / "master.key"
    with all_in_one(directory, ENVIRON) as platform:
        confided = use(platform)
        assert found_in(directory, confided) == []
    # By now the database has written everything, and the log is whole.
    assert found_in(directory, confided) == []
    assert own_file.stat().st_mode & 0o777 == 0o600
    [first] = own_file.read_text().split()
    assert found_in(directory, [first]) == [(first, "master.key")]

    assert "restart" in keys(directory, "add")
    assert own_file.stat().st_mode & 0o777 == 0o600
    with all_in_one(directory, ENVIRON) as platform:
        assert result_of(platform) == len(SECOND)
        assert "data keys wrapped anew" in keys(directory, "rotate")
        assert "0 data keys wrapped anew" in keys(directory, "rotate")
        assert "still opens" not in keys(directory, "list")
        assert result_of(platform) == len(SECOND)

    second, kept = own_file.read_text().split()
    assert kept == first
    own_file.write_text(second + "\n")
    with all_in_one(directory, ENVIRON) as platform:
        assert result_of(platform) == len(SECOND)
        with platform.neo() as neo:
            assert data_of(neo.get("/v1/attestation"))["signature"]
    assert found_in(directory, confided) == []
    assert found_in(directory, [first]) == []
