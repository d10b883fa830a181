"""
``./tidemill verify-receipt FILE``: check the receipt of a run offline, against a key that the checker trusts.

FILE is a receipt, an execution as ``GET .../executions/{id}`` shows it, or that whole answer. With an execution
its own values are checked against the hashes too. Nothing needs a server, a database or a setting. Exit code 0
when everything fits, 1 when something does not (the text says what), 2 when the command makes no sense.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.crypto import attestation, receipts
from shared.crypto.canonical import NotJsonError
from shared.crypto.receipts import hash_of
from shared.crypto.signing import PUBLIC_KEY_BYTES, flaw

_SAME = {
    "id": "executionId",
    "functionId": "functionId",
    "status": "status",
    "startedAt": "startedAt",
    "completedAt": "completedAt",
}
_HASHED = {"params": "paramsHash", "result": "resultHash", "error": "errorHash"}

Object = Mapping[str, Any]


class UnfitError(Exception):
    """The receipt, or what it is checked against, cannot be used; the text says which and why."""


def main(arguments: Sequence[str]) -> int:
    """Check what the arguments name, say what was found, return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        receipt, execution = find_receipt(_read(given.file))
        key = given.public_key or _key_from(_read(given.attestation), receipt)
        code = None if given.code is None else given.code.read_bytes().decode()
    except (UnfitError, OSError, UnicodeDecodeError) as error:
        print(f"not verified: {error}", file=sys.stderr)
        return 1
    findings = check(receipt, key, execution, code)
    for name, problem in findings.items():
        print(f"  ok    {name}" if problem is None else f"  FAIL  {problem}")
    if any(findings.values()):
        print("not verified")
        return 1
    print(
        f"verified: the holder of the key {receipt['keyId']} stated this outcome. "
        "It is simulated: no hardware vouches for it, and whoever operates the platform holds the key."
    )
    return 0


def find_receipt(document: object) -> tuple[Object, Object | None]:
    """
    Return the receipt in a document, and the execution it stands in, if any.

    Raises:
        UnfitError: there is no receipt in it.
    """
    found = document
    if isinstance(found, dict) and isinstance(found.get("data"), dict):
        found = found["data"]
    if not isinstance(found, dict):
        raise UnfitError("the file holds no JSON object")
    if "signature" in found:
        return found, None
    if "receipt" not in found:
        raise UnfitError("the file holds neither a receipt nor an execution with one")
    if not isinstance(found["receipt"], dict):
        raise UnfitError("the execution has no receipt: it goes on, has just ended, or nothing can be signed there")
    return found["receipt"], found


def check(receipt: Object, key: bytes, execution: Object | None, code: str | None) -> dict[str, str | None]:
    """Return what was checked, each with what is wrong, naming the member; None for what is right."""
    findings = {"form": receipts.malformed(receipt)}
    if findings["form"] is not None:
        return findings
    findings["signature"] = flaw(receipt, key)
    if execution is not None:
        findings |= _differences(receipt, execution)
    if code is not None:
        findings["code"] = None if hash_of(code) == receipt["codeHash"] else "codeHash: it is that of another code"
    return findings


def _differences(receipt: Object, execution: Object) -> dict[str, str | None]:
    findings: dict[str, str | None] = {}
    for shown, member in _SAME.items():
        same = execution.get(shown) == receipt[member]
        findings[shown] = None if same else f"{member}: the execution shows {json.dumps(execution.get(shown))}"
    for shown, member in _HASHED.items():
        if member not in receipt:
            continue
        if shown not in execution:
            findings[shown] = f"{member}: the execution shows no {shown}"
        else:
            same = _hash_of(execution[shown]) == receipt[member]
            findings[shown] = None if same else f"{member}: it is not the hash of the {shown} that the execution shows"
    return findings


def _hash_of(value: object) -> str | None:
    """Return the hash of a value; None for one that has no canonical form, because it is nested too deep."""
    try:
        return hash_of(value)
    except NotJsonError:
        return None


def _key_from(document: object, receipt: Object) -> bytes:
    """Return the key of a receipt from an attestation document that is right in itself."""
    found = document.get("data", document) if isinstance(document, dict) else document
    if not isinstance(found, dict):
        raise UnfitError("the attestation file holds no JSON object")
    problem = attestation.malformed(found) or flaw(found, bytes.fromhex(found["publicKey"]))
    if problem is not None:
        raise UnfitError(f"the attestation document is not right: {problem}")
    key = attestation.public_key_of(found, str(receipt.get("keyId")))
    if key is None:
        raise UnfitError(f"keyId: the attestation document tells of no key {receipt.get('keyId')}")
    return key


def _read(path: Path) -> object:
    text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    try:
        return json.loads(text, parse_int=_double, parse_float=_double)
    except (ValueError, RecursionError) as error:
        raise UnfitError(f"{path} is not JSON that can be read: {error}") from error


def _double(text: str) -> float | None:
    """Return a number as canonical JSON has it: a double, and null when it is too large for one."""
    value = float(text)
    return None if value in (float("inf"), float("-inf")) else value


def _public_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise argparse.ArgumentTypeError(f"a public key is {PUBLIC_KEY_BYTES} bytes in hex")
    return key


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidemill verify-receipt",
        description="Check the receipt of a run offline. docs/howto/receipts.md says what a receipt proves.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="receipt, execution or answer of the API; - is stdin")
    trusted = parser.add_mutually_exclusive_group(required=True)
    trusted.add_argument(
        "--attestation", metavar="FILE", type=Path, help="document of GET /v1/attestation that you trust, for its keys"
    )
    trusted.add_argument("--public-key", metavar="HEX", type=_public_key, help="public key that you trust")
    parser.add_argument("--code", metavar="FILE", type=Path, help="check codeHash against the code in this file, too")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
