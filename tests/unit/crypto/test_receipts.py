import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.receipts import EndedRun, code_hash, hash_of, hash_of_text, malformed, moment, quick_hash_of_text
from shared.crypto.receipts import receipt as receipt_of
from shared.crypto.signing import SigningKey, flaw

KEY = SigningKey.from_secret(bytes(range(32)))
RUN = EndedRun(
    execution_id="exec_" + "0a" * 12,
    function_id="func_a1b2c3d4e5",
    code_hash="c" * 64,
    params_hash="d" * 64,
    result_hash="e" * 64,
    error_hash=None,
    status="completed",
    started_at=datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC),
    completed_at=datetime(2026, 1, 2, 3, 4, 7, tzinfo=UTC),
)
FAILED = replace(RUN, result_hash=None, error_hash="f" * 64, status="failed", code_hash=None)
MEMBERS = sorted(receipt_of(RUN, KEY))


def fault(document: dict[str, Any]) -> str | None:
    return malformed(document) or flaw(document, KEY.public_key)


def test_a_receipt_has_exactly_these_members() -> None:
    made = receipt_of(RUN, KEY)

    assert made == {
        "executionId": "exec_" + "0a" * 12,
        "functionId": "func_a1b2c3d4e5",
        "codeHash": "c" * 64,
        "paramsHash": "d" * 64,
        "resultHash": "e" * 64,
        "status": "completed",
        "startedAt": "2026-01-02T03:04:05Z",
        "completedAt": "2026-01-02T03:04:07Z",
        "simulated": True,
        "keyId": KEY.id,
        "algorithm": "Ed25519",
        "signature": made["signature"],
    }
    assert fault(made) is None


def test_a_failed_run_has_an_error_hash_in_place_of_a_result_hash() -> None:
    made = receipt_of(FAILED, KEY)

    assert made["errorHash"] == "f" * 64
    assert "resultHash" not in made
    assert made["codeHash"] is None
    assert fault(made) is None


@given(st.sampled_from(MEMBERS), st.none() | st.booleans() | st.integers() | st.text())
def test_with_any_one_member_changed_it_verifies_no_more(name: str, value: Any) -> None:
    made = receipt_of(RUN, KEY)
    if made[name] == value and type(made[name]) is type(value):
        return

    assert fault({**made, name: value}) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("executionId", "exec_" + "0b" * 12),
        ("functionId", "func_a1b2c3d4e6"),
        ("codeHash", "0" * 64),
        ("paramsHash", "0" * 64),
        ("resultHash", "0" * 64),
        ("startedAt", "2026-01-02T03:04:06Z"),
        ("completedAt", "2026-01-02T03:04:06Z"),
    ],
)
def test_a_member_changed_to_what_it_could_be_breaks_the_signature(name: str, value: str) -> None:
    changed = {**receipt_of(RUN, KEY), name: value}

    assert malformed(changed) is None
    assert str(flaw(changed, KEY.public_key)).startswith("signature: it does not match")


def test_a_failure_cannot_be_made_a_success() -> None:
    made = receipt_of(FAILED, KEY)
    made["status"], made["resultHash"] = "completed", made.pop("errorHash")

    assert str(fault(made)).startswith("signature:")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_that_is_missing_is_named(name: str) -> None:
    made = receipt_of(RUN, KEY)
    del made[name]

    assert malformed(made) == ("errorHash: it is missing" if name == "status" else f"{name}: it is missing")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("executionId", "0a" * 12, "executionId: it is not the id of an execution"),
        ("functionId", 7, "functionId: it is not the id of a function"),
        ("codeHash", "C" * 64, "codeHash: it is not 64 hex digits or null"),
        ("paramsHash", None, "paramsHash: it is not 64 hex digits"),
        ("resultHash", "x", "resultHash: it is not 64 hex digits"),
        ("startedAt", "2026-01-02", "startedAt: it is not a time in whole seconds UTC"),
        ("completedAt", "2026-01-02T03:04:05.000Z", "completedAt: it is not a time in whole seconds UTC"),
        ("simulated", False, "simulated: it is not true"),
        ("extra", 1, "extra: it does not belong here"),
    ],
)
def test_what_is_no_receipt_is_named(name: str, value: object, said: str) -> None:
    assert malformed({**receipt_of(RUN, KEY), name: value}) == said


def test_a_moment_is_in_utc_rounded_down() -> None:
    at = datetime(2026, 1, 2, 5, 4, 5, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert moment(at) == "2026-01-02T03:04:05Z"


@given(st.recursive(st.none() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_the_ways_to_hash_agree(value: Any) -> None:
    text = orjson.dumps(value).decode()

    assert hash_of_text(text) == hash_of(value)
    assert quick_hash_of_text(text) in (None, hash_of(value))


def test_what_is_not_json_is_hashed_as_the_string_it_is() -> None:
    assert hash_of_text("{oops") == hash_of("{oops") == hashlib.sha256(b'"{oops"').hexdigest()


def test_code_is_its_source_or_its_package() -> None:
    assert code_hash("return 1", "ab" * 32) == hashlib.sha256(b'"return 1"').hexdigest()
    assert code_hash("", "ab" * 32) == hashlib.sha256(b'""').hexdigest()
    assert code_hash(None, "ab" * 32) == hashlib.sha256(b'"' + b"ab" * 32 + b'"').hexdigest()
