"""
The few system calls the standard library has no name for.

Used by the spawner process alone, which runs without site-packages; hence ``ctypes`` and nothing else.
Every function raises ``OSError`` with the kernel's reason.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_SIOCADDRT = 0x890B
_RTF_UP, _RTF_REJECT = 0x1, 0x200
_IP_FREEBIND = 15
_BACKLOG = 16

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _check(_libc.prctl(option, *padded), "prctl")


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent ends; end now if it already has. A change of uid undoes this."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(137)


def forbid_new_privileges() -> None:
    """No program executed from here on gains anything by being set-uid; needed before a filter."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def filter_system_calls(program: bytes) -> None:
    """Apply a seccomp program to this process and all it starts."""
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(instructions))
    held = ctypes.create_string_buffer(header, len(header))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(held))


def enter_namespace(path: str) -> None:
    """Join the namespace behind a ``/proc/PID/ns/...`` link."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(handle, 0), f"setns {path}")
    finally:
        os.close(handle)


def show_directory_at(directory: str, place: str) -> None:
    """Bind ``directory`` on ``place`` in a mount namespace of this process and its children only."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "mount --make-rprivate /")
    _check(
        _libc.mount(os.fsencode(directory), os.fsencode(place), None, ctypes.c_ulong(_MS_BIND | _MS_REC), None),
        f"mount --bind {directory}",
    )


def listen_on_loopback(port: int) -> socket.socket:
    """
    Return a socket that listens on 127.0.0.1 of the current network namespace.

    It stays in that namespace whoever holds it. The address need not be there yet: it comes with the interface.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    made.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
    made.bind(("127.0.0.1", port))
    made.listen(_BACKLOG)
    return made


def reject_route(network: str, mask: str) -> None:
    """Make an IPv4 network unreachable in the current network namespace."""

    def address(text: str) -> bytes:
        return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))

    route = struct.pack(
        "=Q16s16s16sHhxxxxQQhxxxxxxQQQHxxxxxx",
        *(0, address(network), address("0.0.0.0"), address(mask)),  # noqa: S104 - no gateway, not an address to bind
        *(_RTF_UP | _RTF_REJECT, 0, 0, 0, 0, 0, 0, 0, 0),
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            fcntl.ioctl(control, _SIOCADDRT, route)
        except OSError as error:
            raise OSError(error.errno, f"{network} mask {mask}: {error.strerror}") from error
