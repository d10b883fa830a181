"""
Receipts: signed statements of what came of a run (contracts/neo.md section 7).

A receipt holds hashes, not values: SHA-256, in hex, of the canonical JSON of the code, the parameters, and the
result or the error. Its texts are those the record of the run shows: the same ids, status and times in whole
seconds. ``simulated`` is always true, because no hardware vouches for any of it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.crypto.canonical import NotJsonError, canonical, canonical_of, quick
from shared.crypto.forms import HASH, MOMENT, SIGNED, TRUE, Form, misfit, or_null, text
from shared.crypto.signing import SigningKey, signed

_FORMS: Mapping[str, Form] = {
    "executionId": text("exec_[0-9a-f]{24}", "the id of an execution"),
    "functionId": text("func_[0-9a-z]+", "the id of a function"),
    "codeHash": or_null(HASH),
    "paramsHash": HASH,
    "status": text("completed|failed", "completed or failed"),
    "startedAt": MOMENT,
    "completedAt": MOMENT,
    "simulated": TRUE,
    **SIGNED,
}

Receipt = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """
    A run as its record shows it.

    ``status`` is ``completed`` or ``failed``. One of ``result_hash`` and ``error_hash`` is given. ``code_hash`` is
    None for a run of a version that is gone.
    """

    execution_id: str
    function_id: str
    code_hash: str | None
    params_hash: str
    result_hash: str | None
    error_hash: str | None
    status: str
    started_at: datetime
    completed_at: datetime


def receipt(run: EndedRun, key: SigningKey) -> Receipt:
    """Return the signed receipt of a run."""
    outcome = {"resultHash": run.result_hash} if run.result_hash is not None else {"errorHash": run.error_hash}
    return signed(
        {
            "executionId": run.execution_id,
            "functionId": run.function_id,
            "codeHash": run.code_hash,
            "paramsHash": run.params_hash,
            **outcome,
            "status": run.status,
            "startedAt": moment(run.started_at),
            "completedAt": moment(run.completed_at),
            "simulated": True,
        },
        key,
    )


def moment(at: datetime) -> str:
    """Return a moment as records and receipts show it: UTC, whole seconds, rounded down."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hash_of(value: Any) -> str:
    """Return the hash of a value."""
    return hashlib.sha256(canonical_of(value)).hexdigest()


def hash_of_text(json_text: str) -> str:
    """
    Return the hash of the value a JSON text stands for.

    A process that user code has taken over may answer what is no JSON, or JSON of any depth: what has no canonical
    form is hashed as the string it is.
    """
    try:
        return hashlib.sha256(canonical(json_text)).hexdigest()
    except NotJsonError:
        return hash_of(json_text)


def quick_hash_of_text(json_text: str) -> str | None:
    """Return the same where it is had quickly, else None."""
    found = quick(json_text)
    return None if found is None else hashlib.sha256(found).hexdigest()


def code_hash(source: str | None, package_sha256: str) -> str:
    """Return the hash of a version's code: of its source text, or of its package's digest when it came as a package."""
    return hash_of(package_sha256 if source is None else source)


def malformed(document: Mapping[str, Any]) -> str | None:
    """
    Return what keeps a document from being a receipt, naming the member at fault; None when it has the form of one.

    Whether its signature is right is for ``signing.flaw`` to say.
    """
    outcome = "resultHash" if document.get("status") == "completed" else "errorHash"
    return misfit(document, {**_FORMS, outcome: HASH})
