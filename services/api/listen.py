"""
Where the api listens: sockets first, so that a port is known and taken before anything is served.

``localhost`` means IPv4 or IPv6, as the client's resolver likes; a server bound to one of them seems dead to
half of the clients. So a loopback or wildcard address of one family is joined by that of the other, on the
same port, where the machine has it.
"""

import errno
import socket

import structlog

_TWINS = {
    "localhost": ("127.0.0.1", "::1"),
    "127.0.0.1": ("127.0.0.1", "::1"),
    "::1": ("127.0.0.1", "::1"),
    "0.0.0.0": ("0.0.0.0", "::"),  # noqa: S104 - only when the operator asks for it
    "::": ("0.0.0.0", "::"),  # noqa: S104 - the same
}
_BACKLOG = 1024
_TRIES = 20
_UNTAKEN_MS = 60_000

_log = structlog.get_logger(__name__)


def listen(host: str, port: int) -> list[socket.socket]:
    """
    Return listening sockets for ``host``, all on one port; ``port`` 0 takes a free one.

    Raises:
        OSError: the address cannot be listened on.
    """
    hosts = _TWINS.get(host, (host,))
    for _ in range(_TRIES):
        sockets: list[socket.socket] = []
        try:
            for each in hosts:
                opened = _open(each, port or (_port(sockets[0]) if sockets else 0), must=not sockets)
                if opened is not None:
                    sockets.append(opened)
        except OSError as error:
            for opened in sockets:
                opened.close()
            if port == 0 and error.errno == errno.EADDRINUSE:
                continue  # the free port of one family was taken in the other
            raise
        return sockets
    raise OSError(errno.EADDRINUSE, f"no port is free in every address family of {host}")


def _open(host: str, port: int, *, must: bool) -> socket.socket | None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    try:
        opened = socket.socket(family, kind, protocol)
    except OSError:
        if must:
            raise
        return None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by every connection: an answer nobody takes does not stay with us for ever.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN_MS)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        if must or error.errno == errno.EADDRINUSE:
            raise
        _log.info("address_not_available", host=host, reason=str(error))
        return None
    return opened


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])
