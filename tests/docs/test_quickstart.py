"""The quick start, executed: every shell block of the page, in order, in one shell, against a running platform."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import open_directory
from tests.support.platform import ROOT, Platform, all_in_one

PAGE = ROOT / "docs" / "quickstart.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "=== block {} ==="
PAUSE = "sleep 0.5"
"""Records are readable 250 ms after the answer; a person takes longer to paste the next line."""


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Platform, Path]]:
    with open_directory() as directory, all_in_one(directory) as platform:
        yield platform, directory / "data" / "credentials.json"


def outputs(platform: Platform, credentials: Path) -> list[str]:
    """Run every block; return what each printed."""
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    blocks[0] = (
        blocks[0]
        .replace("http://localhost:8080", platform.address)
        .replace(".tidemill/credentials.json", str(credentials))
    )
    script = "".join(f"echo '{MARK.format(number)}'\n{block}\n{PAUSE}\n" for number, block in enumerate(blocks))
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=90, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return re.split(r"=== block \d+ ===\n", run.stdout)[1:]


def test_every_line_of_the_quick_start_works_as_written(running: tuple[Platform, Path]) -> None:
    printed = outputs(*running)
    answers = [json.loads(text) for text in printed if text.strip()]

    created, called, accepted, listed, execution, updated, again, deleted = answers[:8]
    assert [answer["success"] for answer in answers[:8]] == [True] * 8
    assert created["data"]["name"] == "greet"
    assert called["data"]["result"] == {"hello": "miller"}
    assert accepted["data"]["execution"]["status"] == "running"
    assert [item["params"]["name"] for item in listed["data"]] == ["later", "miller"]
    assert (execution["data"]["status"], execution["data"]["result"]) == ("completed", {"hello": "later"})
    assert [line["message"] for line in execution["data"]["logs"]] == ["greeting later"]
    assert "good day" in updated["data"]["code"]
    assert again["data"]["result"] == "good day, miller"
    assert deleted["data"]["deleted"] is True

    uploaded, answered, requests, lines, removed = answers[8:]
    assert uploaded["name"] == "hello-api"
    assert answered == {"method": "GET", "query": "?full=1"}
    assert [request["path"] for request in requests["data"]] == ["/orders/7?full=1"]
    assert lines["data"][0]["message"].rstrip("\n").endswith("\tINFO\tcalled at /orders/7")
    assert removed["data"]["deleted"] is True


def test_every_curl_of_the_page_is_in_a_block_that_is_executed() -> None:
    text = PAGE.read_text("utf-8")

    assert text.count("curl -s") == sum(block.count("curl -s") for block in BLOCK.findall(text)) > 0
