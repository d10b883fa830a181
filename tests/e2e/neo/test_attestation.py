"""The attestation document of a running platform, checked with Node.js and by hand (contracts/neo.md, check 31)."""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

from tests.support.documented_receipts import SCRIPT, run_in_node
from tests.support.platform import Platform

VERIFY = (
    SCRIPT[: SCRIPT.index("const hash =")]
    + """
const { signature, ...stated } = JSON.parse(readFileSync(0, 'utf8'));
const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(stated.publicKey, 'hex')]);
const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
console.log(verify(null, Buffer.from(canonical(stated)), key, Buffer.from(signature, 'hex')));
"""
)
MEMBERS = {
    *("simulated", "teeType", "quote", "keyId", "algorithm", "publicKey", "publicKeyHash", "keys", "signature"),
    *("measurements", "invokers", "nonce", "createdAt", "expiresAt"),
}


def attested(platform: Platform, nonce: str) -> dict[str, Any]:
    with platform.anonymous() as anybody:
        answer = anybody.get("/v1/attestation", params={"nonce": nonce})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["success"] is True
    document: dict[str, Any] = body["data"]
    return document


def test_anybody_gets_it_with_their_nonce_and_it_is_honest(platform: Platform) -> None:
    nonce = secrets.token_hex(64)

    document = attested(platform, nonce)

    assert set(document) == MEMBERS
    assert document["nonce"] == nonce
    assert (document["simulated"], document["teeType"], document["quote"]) == (True, "none", None)
    assert document["publicKeyHash"] == hashlib.sha256(bytes.fromhex(document["publicKey"])).hexdigest()
    assert not any(word in json.dumps(document).lower() for word in ("mrenclave", "mrsigner", "pcr"))


def test_its_signature_verifies_in_node_and_no_more_with_one_member_changed(platform: Platform) -> None:
    document = attested(platform, "00ff")
    changed = {
        "nonce": "00fe",
        "createdAt": "2030-01-01T00:00:00Z",
        "simulated": False,
        "measurements": {**document["measurements"], "server": "0" * 64},
        "teeType": "sgx",
    }

    assert run_in_node(VERIFY, stdin=json.dumps(document)) == "true"
    for name, value in changed.items():
        assert run_in_node(VERIFY, stdin=json.dumps({**document, name: value})) == "false", name


def test_the_measurements_are_of_the_programs_that_run(platform: Platform) -> None:
    document = attested(platform, "")
    with platform.anonymous() as anybody:
        runtimes = anybody.get("/v1/health").json()["data"]["runtimes"]

    [invoker] = document["invokers"]
    assert all(len(document["measurements"][part]) == 64 for part in ("server", "runner", "node16", "node18"))
    assert invoker["server"] == document["measurements"]["server"]
    assert invoker["versions"] == {each["name"]: each["version"] for each in runtimes}
    data_dir = platform.processes["tidemill"].log.parent / "data"
    programs = {_sha256(path) for path in (data_dir / "engine").rglob("usr/bin/node")}
    assert {document["measurements"]["node16"], document["measurements"]["node18"]} <= programs


def test_the_platform_knows_its_own_document_and_not_a_changed_one(platform: Platform) -> None:
    document = attested(platform, "00ff")

    with platform.anonymous() as anybody:
        own, changed = (
            anybody.post("/v1/attestation/verify", json={"document": each}).json()["data"]
            for each in (document, {**document, "nonce": "00fe"})
        )

    assert own == {"valid": True, "reason": None, "simulated": True}
    assert (changed["valid"], changed["simulated"]) == (False, True)
    assert changed["reason"].startswith("signature:")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
