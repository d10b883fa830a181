"""
Confinement without namespaces: Landlock, for machines that forbid what bubblewrap needs.

``confine`` acts on the calling process, for good, just before it executes a worker. Landlock takes away the
file system but for the paths named, TCP (kernel 6.7), and signals and abstract sockets to processes outside
(6.12). What it cannot give is said by the driver that uses it: no pid namespace, no limit on the temporary
directory, no loopback of its own.
"""

import ctypes
import os
import struct
from typing import Any

from services.invoker.sandbox import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _DEVICE_IOCTL, _REFER = 1 << 14, 1 << 15, 1 << 13
_ALL_FIRST_VERSION = (1 << 13) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_IOCTL
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
# The kernel interface version that first knew each right.
_FS_RIGHTS_SINCE = ((2, _REFER), (3, _TRUNCATE), (5, _DEVICE_IOCTL))
NETWORK_SINCE = 4
"""The version that first bounded TCP."""
_SCOPES_SINCE = 6

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the kernel's Landlock interface version, 0 when there is none."""
    answer = int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION)))
    return max(0, answer)


def confine(how: dict[str, Any]) -> None:
    """
    Confine this process as asked.

    ``how`` has ``filter`` (path of a seccomp program) and, unless the sandbox level is ``none``, ``readable``
    (paths that may be read and executed), ``writable`` (paths that may be written too), ``network`` (whether TCP
    stays allowed) and perhaps ``connect`` (the one port it may connect to, of whatever host).

    Raises:
        OSError: the kernel refused a part; nothing may be executed then.
    """
    with open(how["filter"], "rb") as stored:  # noqa: PTH123 - runs in the spawner, which stays small
        program = stored.read()
    kernel.forbid_new_privileges()
    if "readable" in how:
        _restrict(how["readable"], how["writable"], network=how["network"], port=how.get("connect", 0))
    kernel.filter_system_calls(program)


def _restrict(readable: list[str], writable: list[str], *, network: bool, port: int) -> None:
    known = version()
    if known == 0:
        raise OSError("this kernel has no Landlock")
    rights = _ALL_FIRST_VERSION
    for since, right in _FS_RIGHTS_SINCE:
        if known >= since:
            rights |= right
    attributes = struct.pack("=Q", rights)
    if known >= NETWORK_SINCE:
        attributes += struct.pack("=Q", 0 if network else _BIND_TCP | _CONNECT_TCP)
    if known >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for path in readable:
            _allow(ruleset, path, rights & (_EXECUTE | _READ_FILE | _READ_DIR))
        for path in writable:
            _allow(ruleset, path, rights)
        if port and not network and known >= NETWORK_SINCE:
            rule = struct.pack("=QQ", _CONNECT_TCP, port)
            _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_NET_PORT), rule, ctypes.c_uint(0))
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - runs in the spawner, which stays small
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, handle)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(handle)


def _call(number: int, *arguments: Any) -> int:
    answer = int(_libc.syscall(number, *arguments))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return answer
