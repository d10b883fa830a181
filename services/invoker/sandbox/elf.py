"""What the head of an executable file tells: whether this machine runs it, and which loader starts it."""

import platform
import struct
from pathlib import Path

_HEAD_BYTES = 4096
_ELF_64 = b"\x7fELF\x02"
_PT_INTERP = 3
_MACHINES = {"x86_64": 62, "aarch64": 183}
_MACHINE_AT = 18


def is_for_this_machine(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a program of this processor."""
    if not head.startswith(_ELF_64) or len(head) < _MACHINE_AT + 2:
        return False
    machine: int = struct.unpack_from("<H", head, _MACHINE_AT)[0]
    return machine == _MACHINES.get(platform.machine())


def loader_of(program: Path) -> Path | None:
    """Return the dynamic loader a 64-bit ELF program names, None for anything else."""
    with program.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if not head.startswith(_ELF_64) or len(head) < struct.calcsize("<64B"):
            return None
        offset, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        for index in range(count):
            at = offset + index * size
            if at + 40 <= len(head) and struct.unpack_from("<I", head, at)[0] == _PT_INTERP:
                start, length = struct.unpack_from("<Q", head, at + 8)[0], struct.unpack_from("<Q", head, at + 32)[0]
                file.seek(start)
                return Path(file.read(min(length, _HEAD_BYTES)).rstrip(b"\0").decode("utf-8", "replace"))
    return None
