"""
Attestation in the Neo dialect (contracts/neo.md section 7): routes, parameters, descriptions.

Anybody may ask, and may have a document checked: whoever was handed a receipt need not have a key here.
"""

import re
from collections.abc import Mapping

from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.neo.answers import json_body, success
from services.api.dialects.neo.bodies import wrong
from services.api.dialects.neo.callers import anybody
from services.api.dialects.neo.schema import (
    MOMENT,
    TEXT,
    Object,
    an_object,
    body,
    envelope,
    operation,
    or_null,
    query,
    ref,
)
from services.api.platform import Platform

_ATTESTATION = "/v1/attestation"
_VERIFY = _ATTESTATION + "/verify"
_NONCE = re.compile("[0-9A-Fa-f]{0,128}")

Parameters = Mapping[str, str]


class AttestationRoutes:
    """The routes of attestation on one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> tuple[Route, ...]:
        """Return them."""
        table = (("GET", _ATTESTATION, self.show), ("POST", _VERIFY, self.verify))
        return tuple(
            Route(methods=(method,), path=path, handler=handler, operation=OPERATIONS[method, path])
            for method, path, handler in table
        )

    async def show(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        anybody(self._platform, request)
        nonce = request.query.get("nonce")
        if nonce is not None and not _NONCE.fullmatch(nonce):
            raise wrong("nonce", "must be at most 128 hex digits")
        return success(await self._platform.attestor.attest(nonce))

    async def verify(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        anybody(self._platform, request)
        document = (await json_body(request)).get("document")
        if not isinstance(document, dict):
            raise wrong("document", "must be an object: an attestation document or a receipt")
        verdict = await self._platform.attestor.verify(document)
        return success({"valid": verdict.valid, "reason": verdict.reason, "simulated": True})


_DIGEST: Object = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256."}
_DIGEST_OR_NULL: Object = {**_DIGEST, "type": ["string", "null"]}
_MEASURED: Object = dict.fromkeys(("server", "runner", "node16", "node18"), _DIGEST_OR_NULL)
_SIGNED: Object = {
    "keyId": TEXT,
    "algorithm": {"const": "Ed25519"},
    "signature": {
        "type": "string",
        "pattern": "^[0-9a-f]{128}$",
        "description": "Over the canonical JSON (RFC 8785) of all other members.",
    },
}
_SIMULATED: Object = {"const": True, "description": "No hardware vouches for this."}

SCHEMAS: Object = {
    "NeoReceipt": an_object(
        {
            "executionId": TEXT,
            "functionId": TEXT,
            "codeHash": _DIGEST_OR_NULL,
            "paramsHash": _DIGEST,
            "resultHash": {**_DIGEST, "description": "Of a completed execution."},
            "errorHash": {**_DIGEST, "description": "Of a failed execution."},
            "status": {"type": "string", "enum": ["completed", "failed"]},
            "startedAt": MOMENT,
            "completedAt": MOMENT,
            "simulated": _SIMULATED,
            **_SIGNED,
        },
        required=(
            *("executionId", "functionId", "codeHash", "paramsHash", "status", "startedAt", "completedAt"),
            *("simulated", "keyId", "algorithm", "signature"),
        ),
    ),
    "NeoAttestation": an_object(
        {
            "simulated": _SIMULATED,
            "teeType": {"const": "none"},
            "publicKey": {**_DIGEST, "description": "Ed25519, in hex."},
            "publicKeyHash": _DIGEST,
            "keys": {
                "type": "array",
                "description": "The keys of this platform, in use and retired.",
                "items": an_object(
                    {
                        "keyId": TEXT,
                        "algorithm": {"const": "Ed25519"},
                        "publicKey": {**_DIGEST, "description": "In hex."},
                        "createdAt": MOMENT,
                        "retiredAt": or_null("string", format="date-time"),
                    }
                ),
            },
            "measurements": {
                **an_object(_MEASURED),
                "description": "Null where live invokers differ, or there is none.",
            },
            "invokers": {
                "type": "array",
                "description": "What live invokers say of themselves; more than one item when they differ.",
                "items": an_object(
                    {
                        "replicas": {"type": "integer"},
                        **_MEASURED,
                        "versions": an_object({name: or_null("string") for name in ("node16", "node18")}),
                    }
                ),
            },
            "nonce": or_null("string"),
            "createdAt": MOMENT,
            "expiresAt": MOMENT,
            "quote": {"type": "null"},
            **_SIGNED,
        }
    ),
}
_VERDICT = an_object({"valid": {"type": "boolean"}, "reason": or_null("string"), "simulated": _SIMULATED})
OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", _ATTESTATION): {
        **operation(
            "neoGetAttestation",
            "What the platform states about itself, signed; nothing in it is vouched for by hardware",
            envelope(ref("NeoAttestation")),
            parameters=[
                query("nonce", {"type": "string", "pattern": f"^{_NONCE.pattern}$"}, "Comes back in the answer.")
            ],
        ),
        "security": [],
    },
    ("POST", _VERIFY): {
        **operation(
            "neoVerifyAttestation",
            "Tell whether this platform signed an attestation document or a receipt",
            envelope(_VERDICT),
            requestBody=body(an_object({"document": {"type": "object"}})),
        ),
        "security": [],
    },
}
