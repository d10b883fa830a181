"""
The system call filter of every sandbox, as a classic BPF program.

``program`` returns the bytes bubblewrap's ``--seccomp`` and ``seccomp(2)`` take: an array of ``struct
sock_filter``. It is made by hand from two tables of numbers, so that nothing needs to be installed. A filter by
denylist is the second wall, behind namespaces and an empty capability set: it takes away what those two leave
reachable of the kernel (tracing, mounting, new namespaces, BPF, io_uring, keys, odd socket families).

What is denied answers EPERM; ``clone3`` answers ENOSYS, because its flags cannot be read by a filter and libc
then falls back to ``clone``; another architecture's calls kill the process.
"""

import struct
from collections.abc import Mapping
from enum import StrEnum

_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_JUMP_ANY_BIT = 0x45
_AND = 0x54
_RETURN = 0x06

_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_ALLOW = 0x7FFF0000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97

# Offsets in struct seccomp_data; the low half of an argument comes first on both (little-endian) machines.
_NUMBER, _ARCH, _ARG0, _ARG1, _ARG2, _ARG3 = 0, 4, 16, 24, 32, 40
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_TYPE_BITS, _SOCK_STREAM = 0xF, 1
_PLAIN_TCP = (0, 6)  # not MPTCP, SCTP or SMC, which streams can be too
_MSG_FASTOPEN = 0x20000000  # connects without connect()
_SENDING = {"sendto": ((44, 206), _ARG3), "sendmsg": ((46, 211), _ARG2), "sendmmsg": ((307, 269), _ARG3)}
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

INSPECTED = {"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "ioctl": (16, 29)}
"""Calls judged by their arguments: numbers on (x86_64, aarch64)."""

DENIED: Mapping[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "create_module": (174, None),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "syslog": (103, 116),
    "personality": (135, 92),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "acct": (163, 89),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "vhangup": (153, 58),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "fanotify_init": (300, 262),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "memfd_secret": (447, 447),
}
"""Calls refused whatever their arguments: numbers on (x86_64, aarch64)."""


class InternetSockets(StrEnum):
    """Which sockets of the internet families can be made."""

    ALL = "all"
    STREAMS = "streams"
    """Plain TCP over IPv4, which Landlock can then bound."""
    NONE = "none"


class UnknownMachineError(Exception):
    """There is no table for this processor architecture."""


class _Program:
    """Collects instructions whose jumps name labels; a jump that is not taken goes on to the next one."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, str | None, str | None]] = []
        self._labels: dict[str, int] = {}

    def add(self, code: int, k: int, *, yes: str | None = None, no: str | None = None) -> None:
        self._code.append((code, k, yes, no))

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def assemble(self) -> bytes:
        return b"".join(
            struct.pack("<HBBI", code, self._distance(at, yes), self._distance(at, no), k)
            for at, (code, k, yes, no) in enumerate(self._code)
        )

    def _distance(self, at: int, label: str | None) -> int:
        return 0 if label is None else self._labels[label] - at - 1


def program(machine: str, *, internet: InternetSockets = InternetSockets.ALL) -> bytes:
    """
    Return the filter for ``x86_64`` or ``aarch64``.

    Fewer than all internet sockets are for sandboxes that have no network namespace of their own and must not
    reach the host's.

    Raises:
        UnknownMachineError: for any other machine.
    """
    if machine not in _ARCHES:
        raise UnknownMachineError(f"no system call table for {machine}; x86_64 and aarch64 are known")
    column = list(_ARCHES).index(machine)
    made = _Program()
    made.add(_LOAD_WORD, _ARCH)
    made.add(_JUMP_EQUAL, _ARCHES[machine], no="kill")
    made.add(_LOAD_WORD, _NUMBER)
    if machine == "x86_64":
        made.add(_JUMP_AT_LEAST, _X32_BIT, yes="enosys")
    for name, numbers in INSPECTED.items():
        made.add(_JUMP_EQUAL, numbers[column], yes=name if name != "clone3" else "enosys")
    sending = _SENDING if internet is InternetSockets.STREAMS else {}
    for name, (numbers, _) in sending.items():
        made.add(_JUMP_EQUAL, numbers[column], yes=name)
    for denied in DENIED.values():
        number = denied[column]
        if number is not None:
            made.add(_JUMP_EQUAL, number, yes="eperm")
    made.label("allow")
    made.add(_RETURN, _ALLOW)
    _judge_arguments(made)
    _judge_sockets(made, internet)
    for name, (_, flags) in sending.items():
        made.label(name)
        made.add(_LOAD_WORD, flags)
        made.add(_JUMP_ANY_BIT, _MSG_FASTOPEN, yes="eperm", no="let")
    for label, answer in (
        ("eperm", _ERRNO | _EPERM),
        ("enosys", _ERRNO | _ENOSYS),
        ("family", _ERRNO | _EAFNOSUPPORT),
        ("kill", _KILL_PROCESS),
        ("let", _ALLOW),
    ):
        made.label(label)
        made.add(_RETURN, answer)
    return made.assemble()


def _judge_arguments(made: _Program) -> None:
    made.label("clone")
    made.add(_LOAD_WORD, _ARG0)
    made.add(_JUMP_ANY_BIT, _NEW_NAMESPACES, yes="eperm", no="let")
    made.label("ioctl")
    made.add(_LOAD_WORD, _ARG1)
    for request in _TERMINAL_INJECTION:
        made.add(_JUMP_EQUAL, request, yes="eperm")
    made.add(_RETURN, _ALLOW)


def _judge_sockets(made: _Program, internet: InternetSockets) -> None:
    made.label("socket")
    made.add(_LOAD_WORD, _ARG0)
    for family in (_AF_UNIX, _AF_NETLINK, *((_AF_INET, _AF_INET6) if internet is InternetSockets.ALL else ())):
        made.add(_JUMP_EQUAL, family, yes="let")
    if internet is InternetSockets.STREAMS:
        made.add(_JUMP_EQUAL, _AF_INET, no="family")
        made.add(_LOAD_WORD, _ARG1)
        made.add(_AND, _TYPE_BITS)
        made.add(_JUMP_EQUAL, _SOCK_STREAM, no="family")
        made.add(_LOAD_WORD, _ARG2)
        for protocol in _PLAIN_TCP:
            made.add(_JUMP_EQUAL, protocol, yes="let")
    made.add(_RETURN, _ERRNO | _EAFNOSUPPORT)
