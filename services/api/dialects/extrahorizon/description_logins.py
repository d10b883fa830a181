"""The OpenAPI text of logging in by OAuth 1.0."""

from services.api.dialects.extrahorizon.schema import ID, MOMENT, TEXT, Object, object_of, operation, ref

SIGNED_TOKENS = "/auth/v2/oauth1/tokens"

SIGNED_TOKEN: Object = {
    "id": ID,
    "userId": ID,
    "applicationId": ID,
    "token": TEXT,
    "lastUsedTimestamp": MOMENT,
    "creationTimestamp": MOMENT,
    "updateTimestamp": MOMENT,
}

LOGIN_SCHEMAS: Object = {
    "ExtraHorizonIssuedSignedToken": object_of(
        {**SIGNED_TOKEN, "tokenSecret": {**TEXT, "description": "Shown here and never again."}}
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
        **operation(
            "signed-token",
            "Get an OAuth 1.0 token by password",
            ref("ExtraHorizonIssuedSignedToken"),
            body=object_of({"email": TEXT, "password": TEXT}),
            more="The request is signed by the application alone: no `oauth_token`, and an empty token secret.",
        ),
        "security": [{"ExtraHorizonSignature": []}],
    },
}
