"""
Where a request came from, as far as that can be believed.

It is the other end of the connection, unless that is a proxy the operator trusts: then it is the last address in
``X-Forwarded-For`` that is not such a proxy. What stands before that one was written by the caller. An IPv6 host
has as many addresses as it likes, so the first 64 bits stand for all of them.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

FORWARDED_FOR = "X-Forwarded-For"
_UNKNOWN = "unknown"
_HOST_BITS = 64


class Addresses:
    """Tells callers apart by address; ``trusted`` are networks of proxies, with commas between."""

    def __init__(self, trusted: str | None = None) -> None:
        self._trusted = tuple(ip_network(part.strip()) for part in trusted.split(",")) if trusted else ()

    def of(self, peer: str | None, forwarded: Iterable[str] = ()) -> str:
        """Return who is at the other end; ``forwarded`` are the values of ``X-Forwarded-For``, in order."""
        address = self._find(peer, forwarded)
        return _UNKNOWN if address is None else _shown(address)

    def exact(self, peer: str | None, forwarded: Iterable[str] = ()) -> str:
        """Return the address itself, to be told to others; see ``of``."""
        address = self._find(peer, forwarded)
        return _UNKNOWN if address is None else str(address)

    def _find(self, peer: str | None, forwarded: Iterable[str]) -> IPv4Address | IPv6Address | None:
        address = _parsed(peer or "")
        if self._trusted:
            hops = [hop.strip() for value in forwarded for hop in value.split(",")]
            while address is not None and hops and any(address in network for network in self._trusted):
                named = _parsed(hops.pop())
                if named is None:
                    break
                address = named
        return address


def neighbourhood(address: str) -> str:
    """Return what stands for an address when callers are counted: see ``Addresses.of``."""
    parsed = _parsed(address)
    return address if parsed is None else _shown(parsed)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _shown(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _HOST_BITS), strict=False))
    return str(address)
