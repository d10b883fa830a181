"""
What the platform states about itself, and whether a document was signed by it.

The api measures its own sources; of what runs functions it tells what the invokers that are alive say of
themselves, which may be on other machines. Where they differ there is no one answer: the measurement is null, and
``invokers`` shows each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from services.signing import ServiceKey
from shared.crypto import attestation, receipts
from shared.crypto.attestation import Attestation, KnownKey
from shared.crypto.signing import flaw
from shared.database import replicas, signing_keys
from shared.database.pool import Database
from shared.domain.errors import UnavailableError

_OF_INVOKERS = ("runner", "node16", "node18")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a document is genuine; ``reason`` says why it is not."""

    valid: bool
    reason: str | None = None


class Attestor:
    """States and verifies for one platform. ``server`` is the digest of this process's own sources."""

    def __init__(self, db: Database, key: ServiceKey, server: str) -> None:
        self._db = db
        self._key = key
        self._server = server

    async def attest(self, nonce: str | None) -> Attestation:
        """
        Return the attestation document of this moment, with the caller's nonce in it.

        Raises:
            UnavailableError: there is no key to sign with, or the database is away.
        """
        key = self._key.current
        if key is None:
            raise UnavailableError("nothing can be signed: there is no signing key (see GET /v1/health)")
        invokers = _distinct(await replicas.details_of(self._db, "invoker"))
        known = [
            KnownKey(id=each.id, public_key=each.public_key, created_at=each.created_at, retired_at=each.retired_at)
            for each in await signing_keys.public_keys(self._db)
        ]
        measurements = {name: _common(invokers, name) for name in _OF_INVOKERS}
        return attestation.attestation(
            nonce=nonce,
            at=datetime.now(UTC),
            measurements={"server": self._server, **measurements},
            invokers=invokers,
            keys=known,
            key=key,
        )

    async def verify(self, document: Mapping[str, Any]) -> Verdict:
        """Tell whether a document is an attestation or a receipt that this platform signed, and still counts."""
        malformed = _malformed(document)
        if malformed is not None:
            return Verdict(valid=False, reason=malformed)
        key = await signing_keys.find_public(self._db, document["keyId"])
        if key is None:
            return Verdict(valid=False, reason="keyId: this platform has no such key")
        problem = flaw(document, key.public_key) or _expired(document)
        return Verdict(valid=problem is None, reason=problem)


def _malformed(document: Mapping[str, Any]) -> str | None:
    if "teeType" in document:
        return attestation.malformed(document)
    if "executionId" in document:
        return receipts.malformed(document)
    return "it is neither an attestation document nor a receipt"


def _expired(document: Mapping[str, Any]) -> str | None:
    until = document.get("expiresAt")
    if until is None or receipts.moment(datetime.now(UTC)) <= until:
        return None
    return f"expiresAt: it counted until {until}"


def _distinct(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what invokers say of themselves, each thing said once, with the number of those who say it."""
    counts = Counter(orjson.dumps(_measured(each), option=orjson.OPT_SORT_KEYS) for each in told)
    return [{"replicas": count, **orjson.loads(text)} for text, count in sorted(counts.items())]


def _measured(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the measurements in an invoker's details (``shared.database.replicas``); null where it tells none."""
    runtimes = details.get("runtimes", {})
    nodes = {name: runtimes.get(name, {}) for name in ("node16", "node18")}
    return {
        "server": details.get("server"),
        "runner": details.get("runner"),
        **{name: node.get("sha256") for name, node in nodes.items()},
        "versions": {name: node.get("version") for name, node in nodes.items()},
    }


def _common(invokers: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """Return what all invokers say; None when they differ, or there is none."""
    values = {each[name] for each in invokers}
    return values.pop() if len(values) == 1 else None
