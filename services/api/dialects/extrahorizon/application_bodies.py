"""Request bodies of the auth service: applications, their versions, authorizations. Every problem names its field."""

import re
from collections.abc import Mapping
from typing import Any

from services.api.dialects.extrahorizon.bodies import read_object, require, text
from services.api.operations.applications import WantedApplication
from services.api.operations.authorizations import WantedAuthorization
from shared.database.application_records import ApplicationChange
from shared.domain.errors import InvalidRequestError

LONGEST_NAME = 100
LONGEST_DESCRIPTION = 250
LONGEST_LOGO = 100
MOST_REDIRECT_URIS = 50
LONGEST_REDIRECT_URI = 2_000
LONGEST_STATE = 2_000
TYPES = ("oauth1", "oauth2")

# Absolute, with nothing that browsers read otherwise than we do. No fragment: RFC 6749 section 3.1.2.
_REDIRECT_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]+")
_NEVER = ("javascript:", "data:", "vbscript:")


def read_new_application(body: bytes) -> WantedApplication:
    """Return an application to be made."""
    data = read_object(body)
    require(data, "type", "name", "description")
    type_ = _type(data)
    uris = _redirect_uris(data) or ()
    if type_ == "oauth2":
        require(data, "redirectUris")
    confidential = data.get("confidential", False)
    if not isinstance(confidential, bool):
        raise _wrong("confidential", "a boolean")
    return WantedApplication(
        type=type_,
        name=_bounded("name", data["name"], LONGEST_NAME),
        description=_bounded("description", data["description"], LONGEST_DESCRIPTION),
        logo=_logo(data) if type_ == "oauth2" else None,
        redirect_uris=uris if type_ == "oauth2" else (),
        confidential=confidential and type_ == "oauth2",
    )


def read_application_change(body: bytes) -> tuple[str, ApplicationChange]:
    """Return the type of the application to be changed, and the change."""
    data = read_object(body)
    require(data, "type")
    type_ = _type(data)
    given = {name: data[name] for name in ("name", "description") if data.get(name) is not None}
    change = ApplicationChange(
        name=_bounded("name", given["name"], LONGEST_NAME) if "name" in given else None,
        description=_bounded("description", given["description"], LONGEST_DESCRIPTION)
        if "description" in given
        else None,
        logo=_logo(data) if type_ == "oauth2" else None,
        redirect_uris=_redirect_uris(data) if type_ == "oauth2" else None,
    )
    return type_, change


def read_new_version(body: bytes) -> str:
    """Return the name of a version to be made."""
    data = read_object(body)
    require(data, "name")
    return _bounded("name", data["name"], LONGEST_NAME)


def read_authorization(body: bytes) -> WantedAuthorization:
    """Return what a user is asked to allow."""
    data = read_object(body)
    require(data, "responseType", "clientId")
    state = _optional(data, "state")
    if state is not None and len(state) > LONGEST_STATE:
        raise _wrong("state", f"at most {LONGEST_STATE} characters long")
    return WantedAuthorization(
        response_type=text("responseType", data["responseType"]),
        client_id=text("clientId", data["clientId"]),
        redirect_uri=_optional(data, "redirectUri"),
        state=state,
        challenge_method=_optional(data, "codeChallengeMethod"),
        challenge=_optional(data, "codeChallenge"),
    )


def _type(data: Mapping[str, Any]) -> str:
    type_ = text("type", data["type"])
    if type_ not in TYPES:
        raise _wrong("type", "oauth1 or oauth2")
    return type_


def _optional(data: Mapping[str, Any], field: str) -> str | None:
    return None if data.get(field) is None else text(field, data[field])


def _bounded(field: str, value: Any, most: int) -> str:
    if not 1 <= len(text(field, value)) <= most:
        raise _wrong(field, f"1 to {most} characters long")
    return str(value)


def _logo(data: Mapping[str, Any]) -> str | None:
    return None if data.get("logo") is None else _bounded("logo", data["logo"], LONGEST_LOGO)


def _redirect_uris(data: Mapping[str, Any]) -> tuple[str, ...] | None:
    uris = data.get("redirectUris")
    if uris is None:
        return None
    if not isinstance(uris, list) or not 1 <= len(uris) <= MOST_REDIRECT_URIS:
        raise _wrong("redirectUris", f"a list of 1 to {MOST_REDIRECT_URIS} URIs")
    for uri in uris:
        plain = text("redirectUris", uri)
        if len(plain) > LONGEST_REDIRECT_URI or not _REDIRECT_URI.fullmatch(plain) or plain.lower().startswith(_NEVER):
            raise _wrong("redirectUris", "absolute URIs without a fragment")
    return tuple(uris)


def _wrong(field: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(f"The field {field} is expected to be {expected}.", field=field, issue=expected)
