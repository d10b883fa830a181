"""
Requests to the outside on behalf of functions, to no other places than the operator allows.

The rules hold for the first request and for every redirect of it: the place must be allowed by scheme, host and
port; the host's addresses are looked up here and one of them is connected to, so what was checked is what is
reached; and unless the operator named the port, that address must be a public one. Certificates are checked for
the host's name.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import httpx

from services.invoker.host_services.errors import (
    HostNotAllowedError,
    InvalidArgumentError,
    OracleError,
    ServiceUnavailableError,
)
from services.invoker.host_services.http import (
    Answer,
    BodyError,
    ConnectionNotMadeError,
    HttpSender,
    TransportError,
)
from services.invoker.host_services.network import Resolver, is_public
from shared.process.host_services_settings import AllowedHost

_DEFAULT_PORTS = {"https": 443, "http": 80}
_MOST_PORT = 65535
_MOST_REDIRECTS = 5
_MOST_ADDRESSES = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BECOMES_GET = frozenset({301, 302, 303})
_OF_THE_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-location"})
_OF_THE_HOST = frozenset({"authorization", "cookie"})

Allowed = Sequence[AllowedHost]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request. ``headers`` have names in lower case; everything together may take ``limit_s``."""

    url: httpx.URL
    method: str = "GET"
    headers: Mapping[str, str]
    body: bytes = b""
    limit_s: float
    most_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer and where it came from in the end."""

    url: str
    redirected: bool
    answer: Answer


def read_url(text: str) -> httpx.URL:
    """
    Return an http or https URL without its fragment.

    Raises:
        InvalidArgumentError: it is none, or holds a user and password.
    """
    try:
        url = httpx.URL(text).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise InvalidArgumentError(f"this URL cannot be read: {error}") from error
    if url.scheme not in _DEFAULT_PORTS or not url.raw_host:
        raise InvalidArgumentError("a URL begins with https:// or http:// and a host")
    if url.port is not None and not 0 < url.port <= _MOST_PORT:
        raise InvalidArgumentError(f"a port is a number from 1 to {_MOST_PORT}")
    if url.userinfo:
        raise InvalidArgumentError("a URL with a user or password is not taken: send a header")
    return url


class Outbound:
    """Sends requests to allowed places. ``close`` it once: it closes the resolver too."""

    def __init__(self, trust: ssl.SSLContext, resolver: Resolver) -> None:
        # A kept connection would belong to an address, and two hosts may share one.
        self._sender = HttpSender(trust=trust, keep=0)
        self._resolver = resolver

    async def close(self) -> None:
        """Close what is open."""
        await self._sender.close()
        self._resolver.close()

    async def fetch(self, outgoing: Outgoing, allowed: Allowed) -> Fetched:
        """
        Send a request, follow redirects, return the answer, whatever its status.

        Raises:
            HostNotAllowedError: the place is not in ``allowed``, or its address is private.
            ServiceUnavailableError: it cannot be reached, or not in time.
            OracleError: it redirects without end, or its body is too large.
        """
        try:
            async with asyncio.timeout(outgoing.limit_s):
                return await self._follow(outgoing, allowed)
        except TimeoutError:
            raise ServiceUnavailableError(f"{outgoing.url.host} did not answer within {outgoing.limit_s:g} s") from None

    async def _follow(self, outgoing: Outgoing, allowed: Allowed) -> Fetched:
        for redirects in range(_MOST_REDIRECTS + 1):
            answer = await self._send(outgoing, _place(outgoing.url, allowed))
            to = answer.headers.get("location") if answer.status in _REDIRECTS else None
            if to is None:
                return Fetched(url=str(outgoing.url), redirected=redirects > 0, answer=answer)
            outgoing = _redirected(outgoing, answer.status, to)
        raise OracleError(f"{outgoing.url.host} redirects more than {_MOST_REDIRECTS} times")

    async def _send(self, outgoing: Outgoing, place: AllowedHost) -> Answer:
        """Send one request to the first address that takes it."""
        refused = "no address"
        headers = httpx.Headers({**outgoing.headers, "host": outgoing.url.netloc.decode("ascii")}, encoding="latin-1")
        for address in await self._addresses(place):
            request = httpx.Request(
                outgoing.method,
                outgoing.url.copy_with(host=address),
                headers=headers,
                content=outgoing.body or None,
                extensions={"sni_hostname": place.host},
            )
            try:
                return await self._sender.send(request, most_bytes=outgoing.most_bytes)
            except ConnectionNotMadeError as error:
                refused = str(error)
            except TransportError as error:
                raise ServiceUnavailableError(f"{place.host} cannot be reached: {error}") from error
            except BodyError as error:
                raise OracleError(f"the answer of {place.host} cannot be taken: {error}") from error
        raise ServiceUnavailableError(f"{place.host} cannot be reached: {refused}")

    async def _addresses(self, place: AllowedHost) -> list[str]:
        try:
            found = await self._resolver.addresses(place.host, place.port)
        except OSError as error:
            raise ServiceUnavailableError(f"{place.host} has no address") from error
        usable = [address for address in found if place.names_port or is_public(address)]
        if not usable:
            raise HostNotAllowedError(f"{place.host} has no public address")
        return usable[:_MOST_ADDRESSES]


def _place(url: httpx.URL, allowed: Allowed) -> AllowedHost:
    """Return the allowed place that a URL is at."""
    host = url.raw_host.decode("ascii").lower()
    wanted = (url.scheme, host, url.port or _DEFAULT_PORTS[url.scheme])
    for place in allowed:
        if (place.scheme, place.host, place.port) == wanted:
            return place
    raise HostNotAllowedError(f"the operator does not allow {url.scheme}://{url.netloc.decode('ascii')}")


def _redirected(outgoing: Outgoing, status: int, to: str) -> Outgoing:
    """Return the request that a redirect asks for."""
    try:
        url = read_url(str(outgoing.url.join(to)))
    except (InvalidArgumentError, httpx.InvalidURL) as error:
        raise OracleError(f"{outgoing.url.host} redirects to what is no URL to go to") from error
    gone: frozenset[str] = frozenset()
    if (url.scheme, url.netloc) != (outgoing.url.scheme, outgoing.url.netloc):
        gone |= _OF_THE_HOST
    if status in _BECOMES_GET and outgoing.method not in {"GET", "HEAD"}:
        gone |= _OF_THE_BODY
        outgoing = replace(outgoing, method="GET", body=b"")
    headers = {name: value for name, value in outgoing.headers.items() if name not in gone}
    return replace(outgoing, url=url, headers=headers)
