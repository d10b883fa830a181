"""The OpenAPI text of OAuth applications, and of what was issued to them."""

from services.api.dialects.extrahorizon import application_bodies
from services.api.dialects.extrahorizon.description import TOKENS
from services.api.dialects.extrahorizon.description_logins import SIGNED_TOKEN, SIGNED_TOKENS
from services.api.dialects.extrahorizon.schema import (
    ID,
    MOMENT,
    TEXT,
    Object,
    list_of,
    object_of,
    operation,
    page_of,
    ref,
)
from services.api.operations.authorizations import CODE_S

APPLICATIONS = "/auth/v2/applications"
APPLICATION = APPLICATIONS + "/{id}"
VERSIONS = APPLICATION + "/versions"
VERSION = VERSIONS + "/{version}"
AUTHORIZATIONS = "/auth/v2/oauth2/authorizations"
REFRESH_TOKENS = "/auth/v2/oauth2/refreshTokens"

_NAME: Object = {**TEXT, "minLength": 1, "maxLength": application_bodies.LONGEST_NAME}
_TYPE: Object = {**TEXT, "enum": list(application_bodies.TYPES)}
_URIS: Object = {
    **list_of({**TEXT, "format": "uri", "maxLength": application_bodies.LONGEST_REDIRECT_URI}),
    "minItems": 1,
    "maxItems": application_bodies.MOST_REDIRECT_URIS,
    "description": "For type `oauth2`: where users may be sent back to, compared letter by letter.",
}
_CHANGES: Object = {
    "type": _TYPE,
    "name": _NAME,
    "description": {**TEXT, "minLength": 1, "maxLength": application_bodies.LONGEST_DESCRIPTION},
    "logo": {**TEXT, "minLength": 1, "maxLength": application_bodies.LONGEST_LOGO},
    "redirectUris": _URIS,
}
_CONFIDENTIAL: Object = {"type": "boolean", "default": False, "description": "Its versions have secrets to show."}
_SECRET: Object = {**TEXT, "description": "Shown here and never again."}
_VERSION: Object = {"id": ID, "name": TEXT, "consumerKey": TEXT, "clientId": TEXT, "creationTimestamp": MOMENT}
_PKCE: Object = {
    "codeChallengeMethod": {**TEXT, "enum": ["plain", "S256"]},
    "codeChallenge": {**TEXT, "minLength": 43, "maxLength": 128},
}
_STAMPS: Object = {"expiryTimestamp": MOMENT, "creationTimestamp": MOMENT, "updateTimestamp": MOMENT}
_AUTHORIZATION: Object = {
    "id": ID,
    "clientId": TEXT,
    "userId": ID,
    "redirectUri": TEXT,
    "state": TEXT,
    "codeChallengeMethod": TEXT,
    **_STAMPS,
}
_AUTHORIZATION_REQUIRED = ("id", "clientId", "userId", "redirectUri", *_STAMPS)
_TOKEN: Object = {"id": ID, "applicationId": ID, "userId": ID, **_STAMPS}

APPLICATION_SCHEMAS: Object = {
    "ExtraHorizonApplicationVersion": object_of(_VERSION, ("id", "name", "creationTimestamp")),
    "ExtraHorizonApplication": object_of(
        {
            "id": ID,
            **_CHANGES,
            "confidential": _CONFIDENTIAL,
            "versions": list_of(ref("ExtraHorizonApplicationVersion")),
            "creationTimestamp": MOMENT,
            "updateTimestamp": MOMENT,
        },
        ("name", "description", "type"),
    ),
    "ExtraHorizonSignedToken": object_of(SIGNED_TOKEN),
    "ExtraHorizonAccessToken": object_of({**_TOKEN, "refreshTokenId": ID}, tuple(_TOKEN)),
    "ExtraHorizonRefreshToken": object_of(_TOKEN),
    "ExtraHorizonAuthorization": object_of(_AUTHORIZATION, _AUTHORIZATION_REQUIRED),
}

_AFFECTED = ref("ExtraHorizonAffected")
_FILTER = "The query is RQL: conditions, `sort`, `limit`, `select`."
_OWN = f"Without the permission VIEW_AUTHORIZATIONS the caller's own alone. {_FILTER}"
_REMOVE = "Without the permission DELETE_AUTHORIZATIONS the caller's own alone."

_ISSUED = (
    (SIGNED_TOKENS, "signed-token", "OAuth 1.0 tokens", "ExtraHorizonSignedToken"),
    (TOKENS, "access-token", "access tokens", "ExtraHorizonAccessToken"),
    (REFRESH_TOKENS, "refresh-token", "refresh tokens", "ExtraHorizonRefreshToken"),
    (AUTHORIZATIONS, "authorization", "authorization codes, without the codes", "ExtraHorizonAuthorization"),
)

APPLICATION_OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", APPLICATIONS): operation(
        "applications",
        "List OAuth applications",
        page_of("ExtraHorizonApplication"),
        more="Without the permission VIEW_APPLICATIONS there are but `name`, `description`, `logo` and `type`. "
        + _FILTER,
    ),
    ("POST", APPLICATIONS): operation(
        "create-application",
        "Make an OAuth application",
        ref("ExtraHorizonApplication"),
        body=object_of({**_CHANGES, "confidential": _CONFIDENTIAL}, ("type", "name", "description")),
        more="It has no version yet. `redirectUris` is required for type `oauth2`.",
    ),
    ("PUT", APPLICATION): operation(
        "update-application", "Change an OAuth application", _AFFECTED, body=object_of(_CHANGES, ("type",))
    ),
    ("DELETE", APPLICATION): operation(
        "remove-application", "Remove an OAuth application with everything that was issued to it", _AFFECTED
    ),
    ("POST", VERSIONS): operation(
        "create-application-version",
        "Make a version of an OAuth application, with a key and a secret",
        object_of(
            {**_VERSION, "consumerSecret": _SECRET, "clientSecret": _SECRET}, ("id", "name", "creationTimestamp")
        ),
        body=object_of({"name": _NAME}),
    ),
    ("DELETE", VERSION): operation(
        "remove-application-version",
        "Remove a version of an OAuth application, by id or name",
        _AFFECTED,
        more="Who still uses its key is turned away.",
    ),
    ("POST", AUTHORIZATIONS): operation(
        "create-authorization",
        "Let an OAuth2 application have tokens for the caller",
        object_of(
            {**_AUTHORIZATION, **_PKCE, "authorizationCode": TEXT}, (*_AUTHORIZATION_REQUIRED, "authorizationCode")
        ),
        body=object_of(
            {"responseType": {"const": "code"}, "clientId": TEXT, "redirectUri": TEXT, "state": TEXT, **_PKCE},
            ("responseType", "clientId"),
        ),
        more=f"The code can be exchanged at `POST {TOKENS}` once, within {CODE_S} s.",
    ),
    **{
        ("GET", path): operation(f"{name}s", f"List {nouns}", page_of(schema), more=_OWN)
        for path, name, nouns, schema in _ISSUED
    },
    **{
        ("DELETE", path + "/{id}"): operation(
            f"remove-{name}", f"Take back one of the {nouns}", _AFFECTED, more=_REMOVE
        )
        for path, name, nouns, _ in _ISSUED
    },
}
