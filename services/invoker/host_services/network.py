"""
Which addresses are on the public internet, and which of them a host has. What is private here may be our own.

The look-up has threads of its own: it cannot be given up, and a name server that does not answer must hold up
nobody else's threads.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_THREADS = 4
_UNICAST = IPv6Network("2000::/3")
_6TO4 = IPv6Network("2002::/16")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """
    Tell whether an address is a public one of a single machine.

    Loopback, link-local, private, shared, multicast and reserved ones are not; neither is an IPv6 address that
    stands for such an IPv4 address.
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _NAT64:
            found = IPv4Address(int(found) & 0xFFFFFFFF)
        elif found not in _UNICAST or found in _6TO4:
            return False
    return found.is_global and not found.is_multicast


class Resolver:
    """Looks names up. ``close`` it once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def addresses(self, host: str, port: int) -> list[str]:
        """
        Return the addresses of a host, or of an address itself, in the order to try them.

        Raises:
            OSError: it has none, or nobody could be asked.
        """
        look_up = self._look_up
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Let the threads go; one that still waits for a name server ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _look_up(host: str, port: int) -> list[str]:
        return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
