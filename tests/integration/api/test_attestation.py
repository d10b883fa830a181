"""What the platform states about itself, and what it takes for its own word (contracts/neo.md section 7)."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services import measurements
from services.api.attestor import Attestor
from services.signing import ServiceKey, new_sealed_key
from shared.crypto.attestation import KnownKey, attestation
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.crypto.receipts import EndedRun, receipt
from shared.crypto.signing import SigningKey, flaw
from shared.database import replicas, signing_keys
from shared.domain.errors import UnavailableError
from tests.integration.api.harness import Running
from tests.support.envelopes import an_envelope

NODE = {"version": "16.20.2", "sha256": "a" * 64, "worker_sha256": "b" * 64}


def details(**changes: Any) -> dict[str, Any]:
    return {"server": "5" * 64, "runner": "6" * 64, "runtimes": {"node16": NODE, "node18": NODE}, **changes}


async def attested(api: Running, **query: str) -> dict[str, Any]:
    answer = await api.http.get("/v1/attestation", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["success"] is True
    data: dict[str, Any] = body["data"]
    return data


def what_runs(document: Mapping[str, Any]) -> tuple[str | None, ...]:
    return tuple(document["measurements"][name] for name in ("runner", "node16", "node18"))


async def judged(api: Running, document: Mapping[str, Any]) -> tuple[bool, str | None]:
    answer = await api.http.post("/v1/attestation/verify", json={"document": document})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert set(data) == {"valid", "reason", "simulated"}
    assert data["simulated"] is True
    return data["valid"], data["reason"]


async def key_of(api: Running) -> SigningKey:
    """Return the platform's key; whoever operates it can."""
    stored = await signing_keys.find_active(api.db)
    assert stored is not None
    return SigningKey.from_secret(await an_envelope().open(stored.sealed, stored.id))


async def a_receipt(api: Running, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "execution_id": "exec_" + "0a" * 12,
        "function_id": "func_a1b2c3d4e5",
        "code_hash": "c" * 64,
        "params_hash": "d" * 64,
        "result_hash": "e" * 64,
        "error_hash": None,
        "status": "completed",
        "started_at": datetime.now(UTC),
        "completed_at": datetime.now(UTC),
    }
    return receipt(EndedRun(**{**given, **changes}), await key_of(api))


async def test_anybody_gets_the_document_and_its_signature_verifies(api: Running) -> None:
    async with httpx.AsyncClient(base_url=api.address, verify=False) as anonymous:
        answer = await anonymous.get("/v1/attestation?nonce=00FFab")

    document = answer.json()["data"]
    assert document["simulated"] is True
    assert (document["teeType"], document["quote"], document["nonce"]) == ("none", None, "00FFab")
    public_key = bytes.fromhex(document["publicKey"])
    assert document["publicKeyHash"] == hashlib.sha256(public_key).hexdigest()
    assert flaw(document, public_key) is None
    assert await judged(api, document) == (True, None)


async def test_without_a_nonce_it_has_none_and_counts_for_an_hour(api: Running) -> None:
    document = await attested(api)

    assert document["nonce"] is None
    made, until = (datetime.fromisoformat(document[name]) for name in ("createdAt", "expiresAt"))
    assert until - made == timedelta(hours=1)
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=30)


@pytest.mark.parametrize("nonce", ["xyz", "0" * 129, "00 ", "0x00", "é"])
async def test_a_nonce_that_is_no_hex_or_too_long_is_refused(api: Running, nonce: str) -> None:
    answer = await api.http.get("/v1/attestation", params={"nonce": nonce})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    assert answer.json()["error"]["details"]["field"] == "nonce"


async def test_the_api_measures_its_own_sources(api: Running) -> None:
    assert (await attested(api))["measurements"]["server"] == measurements.server()


async def test_what_runs_functions_is_told_as_the_invokers_say(api: Running) -> None:
    assert (await attested(api))["invokers"] == []
    assert what_runs(await attested(api)) == (None, None, None)
    await replicas.beat(api.db, "one", "invoker", details())
    await replicas.beat(api.db, "two", "invoker", details())

    document = await attested(api)

    assert what_runs(document) == ("6" * 64, "a" * 64, "a" * 64)
    assert document["invokers"] == [
        {
            "replicas": 2,
            "server": "5" * 64,
            "runner": "6" * 64,
            "node16": "a" * 64,
            "node18": "a" * 64,
            "versions": {"node16": "16.20.2", "node18": "16.20.2"},
        }
    ]


async def test_where_invokers_differ_the_measurement_is_null_and_each_is_shown(api: Running) -> None:
    other = details(runtimes={"node16": {**NODE, "sha256": "9" * 64}})
    await replicas.beat(api.db, "one", "invoker", details())
    await replicas.beat(api.db, "two", "invoker", other)
    await replicas.beat(api.db, "gone", "invoker", details(runner="7" * 64))
    await api.db.execute("UPDATE replicas SET seen_at = seen_at - interval '16 s' WHERE id = 'gone'")

    document = await attested(api)

    assert what_runs(document) == ("6" * 64, None, None)
    shown = {(each["replicas"], each["node16"], each["node18"]) for each in document["invokers"]}
    assert shown == {(1, "9" * 64, None), (1, "a" * 64, "a" * 64)}
    assert await judged(api, document) == (True, None)


async def test_receipts_and_attestations_are_verified_alike(api: Running) -> None:
    for changes in ({}, {"result_hash": None, "error_hash": "f" * 64, "status": "failed"}, {"code_hash": None}):
        assert await judged(api, await a_receipt(api, **changes)) == (True, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resultHash": "0" * 64}, "signature: it does not match"),
        ({"completedAt": "2030-01-01T00:00:00Z"}, "signature: it does not match"),
        ({"signature": "00"}, "signature: it is not 128 hex digits"),
        ({"keyId": "sgn_0000000000000000"}, "keyId: this platform has no such key"),
        ({"keyId": "sgn_\0"}, "keyId: it is not the id of a signing key"),
        ({"algorithm": "HMAC"}, "algorithm: it is not Ed25519"),
        ({"simulated": False}, "simulated: it is not true"),
        ({"extra": 1.5}, "extra: it does not belong here"),
        ({"executionId": "\0"}, "executionId: it is not the id of an execution"),
    ],
)
async def test_a_receipt_with_one_member_changed_is_refused_with_the_reason(
    api: Running, changes: dict[str, Any], reason: str
) -> None:
    valid, said = await judged(api, {**await a_receipt(api), **changes})

    assert not valid
    assert str(said).startswith(reason)


async def test_what_another_platform_signed_is_not_ours(api: Running) -> None:
    other = SigningKey.new()
    now = datetime.now(UTC)
    known = [KnownKey(id=other.id, public_key=other.public_key, created_at=now, retired_at=None)]
    document = attestation(nonce=None, at=now, measurements={}, invokers=[], keys=known, key=other)

    assert await judged(api, document) == (False, "keyId: this platform has no such key")


async def test_a_document_that_is_old_counts_no_more(api: Running) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    document = attestation(nonce=None, at=at, measurements={}, invokers=[], keys=[], key=await key_of(api))

    assert await judged(api, document) == (False, f"expiresAt: it counted until {document['expiresAt']}")


@pytest.mark.parametrize("document", [{}, {"a": 1}, {"number": 7, "requestId": "x", "timestamp": 1}])
async def test_what_is_neither_kind_of_document_is_said(api: Running, document: dict[str, Any]) -> None:
    assert await judged(api, document) == (False, "it is neither an attestation document nor a receipt")


@pytest.mark.parametrize("body", [{}, {"document": None}, {"document": []}, {"document": "x"}])
async def test_a_body_without_a_document_is_refused(api: Running, body: dict[str, Any]) -> None:
    answer = await api.http.post("/v1/attestation/verify", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == "document"


async def test_after_a_rotation_old_receipts_verify_and_the_document_tells_of_both_keys(api: Running) -> None:
    old = await a_receipt(api)
    new = await new_sealed_key(an_envelope())
    assert await signing_keys.replace_active(api.db, new)

    document = await attested(api)

    assert [(each["keyId"], each["retiredAt"] is None) for each in document["keys"]] == [
        (new.id, True), (old["keyId"], False),
    ]  # fmt: skip
    assert await judged(api, old) == (True, None)
    assert await judged(api, await a_receipt(api)) == (True, None)


async def test_without_a_key_there_is_no_document_and_what_was_signed_before_verifies(api: Running) -> None:
    receipt = await a_receipt(api)
    keyless = ServiceKey(api.db, Envelope(KeyRing(())))
    await keyless.refresh()
    attestor = Attestor(api.db, keyless, "0" * 64)

    with pytest.raises(UnavailableError, match="nothing can be signed"):
        await attestor.attest(None)
    assert (await attestor.verify(receipt)).valid


async def test_health_tells_which_key_signs(api: Running) -> None:
    checks = (await api.http.get("/v1/health")).json()["data"]["checks"]

    assert checks["signing"]["details"] == {"keyId": (await key_of(api)).id}
