"""The OpenAPI text of logging in by OAuth 1.0."""

from typing import Any

Object = dict[str, Any]

SIGNED_TOKENS = "/auth/v2/oauth1/tokens"

_MEDIA = "application/json"
_TEXT: Object = {"type": "string"}
_MOMENT: Object = {"type": "string", "format": "date-time"}
_ID: Object = {"type": "string", "pattern": "^[0-9a-f]{24}$"}


def _object(properties: Object, required: tuple[str, ...] | None = None) -> Object:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _answers(schema: Object) -> Object:
    return {
        "200": {"description": "Done.", "content": {_MEDIA: {"schema": schema}}},
        "4XX": {"description": "Refused.", "content": {_MEDIA: {"schema": _ref("ExtraHorizonError")}}},
    }


_SIGNED_TOKEN: Object = {
    "id": _ID,
    "userId": _ID,
    "applicationId": _ID,
    "token": _TEXT,
    "lastUsedTimestamp": _MOMENT,
    "creationTimestamp": _MOMENT,
    "updateTimestamp": _MOMENT,
}

LOGIN_SCHEMAS: Object = {
    "ExtraHorizonIssuedSignedToken": _object(
        {**_SIGNED_TOKEN, "tokenSecret": {**_TEXT, "description": "Shown here and never again."}}
    ),
}

LOGIN_SECURITY: Object = {
    "ExtraHorizonSignature": {
        "type": "http",
        "scheme": "OAuth",
        "description": "OAuth 1.0 with HMAC-SHA1 (RFC 5849): the request is signed with the secrets of an application "
        f"and of a token of `POST {SIGNED_TOKENS}`. Taken wherever a bearer token is.",
    }
}

LOGIN_OPERATIONS: dict[tuple[str, str], Object] = {
    ("POST", SIGNED_TOKENS): {
        "operationId": "extrahorizon-signed-token",
        "summary": "Get an OAuth 1.0 token by password",
        "description": "The request is signed by the application alone: no `oauth_token`, and an empty token secret.",
        "security": [{"ExtraHorizonSignature": []}],
        "requestBody": {
            "required": True,
            "content": {_MEDIA: {"schema": _object({"email": _TEXT, "password": _TEXT})}},
        },
        "responses": _answers(_ref("ExtraHorizonIssuedSignedToken")),
    },
}
