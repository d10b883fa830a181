"""Over the limit, and back (contracts/neo.md 6; check 28)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.backends import open_directory
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform, all_in_one

BURST, WINDOW_S = 20, 4
LIMITS = {
    "TIDEMILL_RATE_LIMIT": "on",
    "TIDEMILL_RATE_LIMIT_KEY": str(BURST * 60 // WINDOW_S),
    "TIDEMILL_RATE_LIMIT_KEY_BURST": str(BURST),
    "TIDEMILL_STEM_CELLS_PYTHON": "0",
}


@pytest.fixture(scope="module")
def limited() -> Iterator[Platform]:
    with open_directory() as directory, all_in_one(directory, LIMITS) as platform:
        yield platform


def test_too_many_requests_of_a_key_are_refused_with_the_wait_and_answered_after_it(
    limited: Platform, threads: ThreadPoolExecutor
) -> None:
    with limited.neo() as neo:
        answers = list(threads.map(lambda _: neo.get("/v1/functions"), range(3 * BURST)))

        refused = [answer for answer in answers if answer.status_code == httpx.codes.TOO_MANY_REQUESTS]
        assert {answer.status_code for answer in answers} == {200, 429}
        last = refused[-1]
        error = last.json()["error"]
        wait_s = int(last.headers["Retry-After"])
        assert 1 <= wait_s <= WINDOW_S
        assert error["code"] == "rate_limit_exceeded"
        assert error["details"] == {"limit": 300, "reset_in_seconds": wait_s}
        for spelling in ("X-Rate-Limit-", "X-RateLimit-"):
            assert last.headers[f"{spelling}Limit"] == "300"
            assert last.headers[f"{spelling}Remaining"] == "0"
            assert 0 <= int(last.headers[f"{spelling}Reset"]) - time.time() <= WINDOW_S + 1
        eventually_sync(lambda: neo.get("/v1/functions").status_code == 200, within_s=wait_s + 2)


def test_wrong_keys_use_up_the_share_of_their_address_and_not_that_of_a_valid_key(limited: Platform) -> None:
    with limited.anonymous() as anonymous, limited.neo() as neo:
        statuses: list[int] = []
        while 429 not in statuses and len(statuses) < 100:
            statuses.append(anonymous.get("/v1/functions", headers={"X-API-Key": "sl_wrong"}).status_code)

        assert statuses[0] == 401
        assert statuses[-1] == 429
        eventually_sync(lambda: neo.get("/v1/functions").status_code == 200, within_s=WINDOW_S + 2)
