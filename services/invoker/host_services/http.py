"""
Plain HTTP with nothing of its own: no cookies, no redirects, no proxies of the environment, no compression.

One ``HttpSender`` keeps no state that one function could leave to another. A body is read to a limit and no
further. Waiting is bounded by the caller.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx


class TransportError(Exception):
    """There was no answer that could be read."""


class ConnectionNotMadeError(TransportError):
    """Nothing was sent: there is nobody, or one whose certificate cannot be trusted."""


class BodyError(Exception):
    """The answer came and its body is not one to be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class HttpSender:
    """
    Sends requests. ``close`` it once.

    ``trust`` are the certificates to trust; None only for plain HTTP. At most ``keep`` connections are kept open
    between requests.
    """

    def __init__(self, *, trust: ssl.SSLContext | None, keep: int) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep)
        self._transport = httpx.AsyncHTTPTransport(
            verify=trust if trust is not None else False, trust_env=False, limits=limits
        )

    async def send(self, request: httpx.Request, *, most_bytes: int) -> Answer:
        """
        Send a request and read the answer.

        Raises:
            ConnectionNotMadeError: nothing was sent, another address may be tried.
            TransportError: the connection broke.
            BodyError: the body is larger than ``most_bytes``, or compressed.
        """
        request.headers["accept-encoding"] = "identity"
        try:
            response = await self._transport.handle_async_request(request)
            try:
                body = await _read(response, most_bytes)
            finally:
                await response.aclose()
        except httpx.ConnectError as error:
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            raise ConnectionNotMadeError("its certificate is not valid" if untrusted else "no connection") from error
        except httpx.TransportError as error:
            raise TransportError("the connection broke") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status_code, reason=response.reason_phrase, headers=headers, body=body)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


async def _read(response: httpx.Response, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        if response.headers.get("content-encoding", "identity") != "identity":
            raise BodyError("it is compressed, which was not asked for")
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            raise BodyError(f"it is larger than {most_bytes} bytes")
    return b"".join(parts)
