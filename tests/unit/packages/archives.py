"""Archives as tests need them: good ones from real writers, bad ones made by hand."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

UNIX = 3


def zip_of(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Write files, as they are named, with Python's own writer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def zip_with(*entries: "Part") -> bytes:
    """Write entries exactly as they are given, lies included."""
    return assemble(list(entries))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One entry; what is None is told truly."""

    name: bytes
    content: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    system: int = UNIX
    flags: int = 0
    method: int = 0
    local_name: bytes | None = None
    local_method: int | None = None
    declared_size: int | None = None
    declared_compressed: int | None = None
    crc: int | None = None
    offset: int | None = None
    extra: bytes = b""

    def deflated(self) -> "Part":
        """Return the entry with its content compressed and the rest told truly."""
        stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return replace(
            self,
            content=stream.compress(self.content) + stream.flush(),
            method=8,
            declared_size=len(self.content),
            crc=zlib.crc32(self.content),
        )


def link(name: str, target: str) -> Part:
    """Return a symbolic link."""
    return Part(name=name.encode(), content=target.encode(), mode=stat.S_IFLNK | 0o777)


def assemble(parts: list[Part], *, prefix: bytes = b"", gap: bytes = b"", comment: bytes = b"") -> bytes:
    """Write entries, with bytes before them, between them and their directory, and a comment after all."""
    body, directory = bytearray(prefix), bytearray()
    for part in parts:
        offset = len(body) if part.offset is None else part.offset
        crc = zlib.crc32(part.content) if part.crc is None else part.crc
        size = len(part.content) if part.declared_size is None else part.declared_size
        compressed = len(part.content) if part.declared_compressed is None else part.declared_compressed
        if part.offset is None:
            body += _local(part, crc, compressed, size) + part.content
        directory += struct.pack(
            "<4s6H3L5H2L",
            b"PK\x01\x02",
            part.system << 8 | 20,
            20,
            part.flags,
            part.method,
            0,
            33,
            crc,
            compressed,
            size,
            len(part.name),
            len(part.extra),
            0,
            0,
            0,
            part.mode << 16,
            offset,
        )
        directory += part.name + part.extra
    body += gap
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(parts), len(parts), len(directory), len(body), len(comment))
    return bytes(body + directory + end + comment)


def _local(part: Part, crc: int, compressed: int, size: int) -> bytes:
    name = part.name if part.local_name is None else part.local_name
    method = part.method if part.local_method is None else part.local_method
    return (
        struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, part.flags, method, 0, 33, crc, compressed, size, len(name), 0)
        + name
    )
