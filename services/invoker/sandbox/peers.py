"""
Who is at the other end of a connection on this machine's loopback interface.

For sandboxes that share the host's network: the kernel knows which user made a socket. Reading its table takes time
in proportion to all connections of the machine, so this is not for every request.
"""

import socket
import sys
from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_LOCAL, _REMOTE, _UID = 1, 2, 7


def uid_of_peer(here: tuple[str, int], peer: tuple[str, int]) -> int | None:
    """Return the user of the process that connected from ``peer`` to ``here``, None when there is no such socket."""
    ours, theirs = _as_listed(here), _as_listed(peer)
    for line in _TABLE.read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[_LOCAL] == theirs and fields[_REMOTE] == ours:
            return int(fields[_UID])
    return None


def _as_listed(address: tuple[str, int]) -> str:
    """Return an IPv4 address and port as the kernel prints them: the address in this machine's byte order."""
    number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
    return f"{number:08X}:{address[1]:04X}"
