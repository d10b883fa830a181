"""
Signed requests: OAuth 1.0 with HMAC-SHA1 (RFC 5849, contracts/extrahorizon.md section 2.3).

Pure: what is signed is put together here from the request as it was sent; the text that is signed is made by oauthlib.
Who the credentials belong to, and whether a nonce was used before, is for ``oauth1.py`` to find out.

The query is taken raw, because clients send RQL in it: every ``&``-separated piece is a parameter, decoded once, and
a piece without ``=`` is a name with an empty value. A body is never signed.

The path is taken as it was sent, too; but the SDK signs what its URL class makes of it, and its HTTP client then
escapes two characters more, so it may also be signed with these left alone. Whether the caller said ``http`` or
``https`` is not known behind a proxy that ends TLS, so either will do.
"""

import base64
import functools
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_plus

from oauthlib.oauth1.rfc5849 import signature, utils

from shared.crypto.tokens import same

_SCHEME = "oauth "
_METHOD = "HMAC-SHA1"
_REQUIRED = ("oauth_consumer_key", "oauth_nonce", "oauth_signature", "oauth_signature_method", "oauth_timestamp")
_MAX_HEADER = 4096
_LATEST = 9_999_999_999
_LEFT_ALONE = {"%27": "'", "%7C": "|"}
"""What the URL class of browsers and Node.js leaves in a path and HTTP clients escape."""


class MalformedSignatureError(ValueError):
    """The header is no OAuth 1.0 header with HMAC-SHA1; the text says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """
    A request with its signature, as sent.

    ``host`` is the ``Host`` header, ``path`` is still encoded, ``query`` is raw, without ``?``. ``parameters`` are
    those of the header, decoded, ``realm`` left out.
    """

    method: str
    host: str
    path: str
    query: str = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def consumer_key(self) -> str:
        return self.parameters["oauth_consumer_key"]

    @property
    def token(self) -> str | None:
        """The token's name; None when the application alone has signed."""
        return self.parameters.get("oauth_token") or None

    @property
    def timestamp(self) -> int:
        """When the request was signed, in Unix seconds, by the caller's clock."""
        return int(self.parameters["oauth_timestamp"])

    def digest(self) -> bytes:
        """Return what no two requests of one caller share: of consumer key, token, timestamp and nonce (32 bytes)."""
        parts = (self.consumer_key, self.token or "", str(self.timestamp), self.parameters["oauth_nonce"])
        return hashlib.sha256("&".join(utils.escape(part) for part in parts).encode()).digest()

    def is_signed_with(self, consumer_secret: str, token_secret: str) -> bool:
        """Tell whether these secrets make the signature the request carries."""
        key = f"{utils.escape(consumer_secret)}&{utils.escape(token_secret)}".encode()
        signed = signature.normalize_parameters(self._signed())
        for uri in self._uris():
            base = signature.signature_base_string(self.method, uri, signed)
            made = base64.b64encode(hmac.digest(key, base.encode(), hashlib.sha1)).decode()
            if same(made, self.parameters["oauth_signature"]):
                return True
        return False

    def _uris(self) -> Iterator[str]:
        unescaped = self.path
        for escaped, plain in _LEFT_ALONE.items():
            unescaped = unescaped.replace(escaped, plain)
        for scheme in ("http", "https"):
            yield from (_origin(scheme, self.host) + path for path in dict.fromkeys((self.path, unescaped)))

    def _signed(self) -> list[tuple[str, str]]:
        given = [(name, value) for name, value in self.parameters.items() if name != "oauth_signature"]
        return given + [_pair(piece) for piece in self.query.split("&") if piece]


def is_signed(authorization: str) -> bool:
    """Tell whether an ``Authorization`` header is meant as an OAuth 1.0 signature."""
    return authorization[: len(_SCHEME)].lower() == _SCHEME


def read_signed_request(method: str, host: str, target: str, authorization: str) -> SignedRequest:
    """
    Return the signed request of an ``Authorization`` header; ``target`` is its raw path with the query.

    Raises:
        MalformedSignatureError: a part is missing, is there twice, or is not what it should be.
    """
    if not is_signed(authorization) or len(authorization) > _MAX_HEADER:
        raise MalformedSignatureError("the Authorization header is not an OAuth 1.0 signature")
    parameters: dict[str, str] = {}
    for piece in authorization[len(_SCHEME) :].split(","):
        name, equals, value = piece.strip().partition("=")
        name, value = unquote(name), unquote(value.strip('"'))
        if not equals or name in parameters:
            raise MalformedSignatureError("the Authorization header has a malformed or a repeated part")
        parameters[name] = value
    parameters.pop("realm", None)
    _check(parameters)
    path, _, query = target.partition("?")
    signed = SignedRequest(method=method, host=host, path=path, query=query, parameters=parameters)
    try:
        _origin("http", host)
    except ValueError:
        raise MalformedSignatureError("the Host header names no host") from None
    return signed


def _check(parameters: Mapping[str, str]) -> None:
    missing = [name for name in _REQUIRED if not parameters.get(name)]
    if missing:
        raise MalformedSignatureError(f"{missing[0]} is missing")
    if parameters["oauth_signature_method"] != _METHOD:
        raise MalformedSignatureError(f"oauth_signature_method must be {_METHOD}")
    if parameters.get("oauth_version", "1.0") != "1.0":
        raise MalformedSignatureError("oauth_version must be 1.0")
    timestamp = parameters["oauth_timestamp"]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len(str(_LATEST))):
        raise MalformedSignatureError("oauth_timestamp must be whole seconds since 1970")


@functools.lru_cache(maxsize=1024)
def _origin(scheme: str, host: str) -> str:
    """Return what a signed URI begins with; raise ``ValueError`` for a host that is none."""
    # The library would lose a path's last semicolon: it is given the host alone.
    origin: str = signature.base_string_uri(f"{scheme}://{host}/").removesuffix("/")
    return origin


def _pair(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    return unquote_plus(name), unquote_plus(value)
