"""
Signing requests by OAuth 1.0 as the SDK does it: written from its source, apart from what verifies signatures.

An ``OAuth1`` is given to httpx as ``auth``; what it is told to say overrides what it would have said.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_plus

import httpx


@dataclass(frozen=True, kw_only=True)
class OAuth1(httpx.Auth):
    """Signs each request anew; ``says`` are parameters of the header to say instead."""

    key: str
    secret: str
    token: str | None = None
    token_secret: str = ""
    says: dict[str, str] = field(default_factory=dict)

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # no more is sent
        host, target = request.headers["Host"], request.url.raw_path.decode()
        request.headers["Authorization"] = self.header(request.method, f"{request.url.scheme}://{host}{target}")
        yield request

    def header(self, method: str, url: str) -> str:
        """Return the header of a request for this URL."""
        parameters = {
            "oauth_consumer_key": self.key,
            "oauth_nonce": secrets.token_hex(16),
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time())),
            "oauth_version": "1.0",
            **({} if self.token is None else {"oauth_token": self.token}),
        }
        parameters |= {name: value for name, value in self.says.items() if name != "oauth_signature"}
        base, _, query = url.partition("?")
        pairs = [*parameters.items()]
        for piece in query.split("&") if query else ():
            name, _, value = piece.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
        encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
        text = "&".join(f"{name}={value}" for name, value in encoded)
        signed = "&".join((method.upper(), _encoded(base), _encoded(text)))
        key = f"{_encoded(self.secret)}&{_encoded(self.token_secret)}"
        made = base64.b64encode(hmac.digest(key.encode(), signed.encode(), hashlib.sha1)).decode()
        parameters["oauth_signature"] = self.says.get("oauth_signature", made)
        return "OAuth " + ", ".join(f'{_encoded(name)}="{_encoded(parameters[name])}"' for name in sorted(parameters))


def _encoded(text: str) -> str:
    return quote(text, safe="~")
