"""
Reading a zip, strictly and in bounded memory.

Python's ``zipfile`` forgives: it takes archives with bytes in front, entries that overlap, and names that differ
between the two places a zip keeps them, and it builds all its entries before anybody can count them. Two
readers of such an archive may see different files, and one of them checked it. Here an archive is what its
central directory says, every local header must agree, data may not overlap, and the whole is refused otherwise.

Read are stored and deflated entries, sizes in data descriptors (streamed zips) and zip64 records. Refused are
encrypted and split archives and other compression methods. What the names may be is said in ``paths.py``.
"""

import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from shared.domain.errors import InvalidPackageError
from shared.packages.pace import paced
from shared.packages.paths import refusal

CHUNK_BYTES = 1 << 18

_END = Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_END64_LOCATOR = Struct("<4sLQL")
_END64_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_CENTRAL = Struct("<4s6H3L5H2L")
_CENTRAL_SIGNATURE = b"PK\x01\x02"
_LOCAL = Struct("<4s5H3L2H")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_EXTRA = Struct("<2H")
_QUAD = Struct("<Q")

_FULL_16 = 0xFFFF
_FULL_32 = 0xFFFFFFFF
_ZIP64_EXTRA = 1
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PATCHED = 0x20
_UTF8 = 0x800
_STORED, _DEFLATED = 0, 8
_UNIX_SYSTEMS = (3, 19)  # Unix and macOS keep the file's mode in the upper half of the external attributes
_MAX_COMMENT_BYTES = _FULL_16


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry. ``start`` is where its data begins; ``mode`` is its Unix mode, 0 when the archive keeps none."""

    name: str
    deflated: bool
    start: int
    compressed_bytes: int
    size_bytes: int
    crc: int
    mode: int

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/") or stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


@dataclass(frozen=True, slots=True)
class _Header:
    """A central header as it stands in the archive."""

    name: bytes
    flags: int
    method: int
    crc: int
    compressed_bytes: int
    size_bytes: int
    mode: int
    offset: int


def read_entries(content: bytes, *, max_entries: int) -> list[Entry]:
    """
    Return the entries of an archive, in the order of their data.

    Raises:
        InvalidPackageError: it is not a zip, is damaged, contradicts itself, or has more than ``max_entries``.
    """
    count, offset, end = _find_directory(content)
    if count > max_entries:
        raise InvalidPackageError(f"the package has {count} entries; at most {max_entries} are allowed")
    if count and not content.startswith(_LOCAL_SIGNATURE):
        raise _damaged("there are bytes before its first entry")
    headers = sorted(paced(_central_headers(content, count, offset, end)), key=lambda header: header.offset)
    entries: list[Entry] = []
    free_from = 0
    for header in paced(headers):
        if header.offset < free_from:
            raise refusal("overlaps another entry", _decode(header))
        entry = _entry(content, header, offset)
        free_from = entry.start + entry.compressed_bytes
        entries.append(entry)
    return entries


def inflate(content: bytes, entry: Entry) -> Iterator[bytes]:
    """
    Yield an entry's bytes in chunks; stop at the first byte too many.

    Raises:
        InvalidPackageError: the data is damaged, or is not of the declared size or checksum.
    """
    view = memoryview(content)[entry.start : entry.start + entry.compressed_bytes]
    crc = size = 0
    chunks: Iterator[bytes | memoryview] = _inflated(view, entry) if entry.deflated else _pieces(view)
    for chunk in paced(chunks):
        size += len(chunk)
        if size > entry.size_bytes:
            break
        crc = zlib.crc32(chunk, crc)
        yield bytes(chunk)
    if size != entry.size_bytes:
        raise refusal("is not of the size it declares", entry.name)
    if crc != entry.crc:
        raise refusal("fails its checksum", entry.name)


def _pieces(view: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(view), CHUNK_BYTES):
        yield view[start : start + CHUNK_BYTES]


def _inflated(view: memoryview, entry: Entry) -> Iterator[bytes]:
    if not view:
        return  # some writers say "deflated" of an empty file and write nothing
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in _pieces(view):
            pending: bytes | memoryview = piece
            # Output may stay inside the stream when the input is used up: ask until it gives less than asked.
            while True:
                chunk = stream.decompress(pending, CHUNK_BYTES)
                if chunk:
                    yield chunk
                pending = stream.unconsumed_tail
                if stream.eof or (not pending and len(chunk) < CHUNK_BYTES):
                    break
            if stream.unused_data:
                break
    except zlib.error:
        raise refusal("is damaged: it does not inflate", entry.name) from None
    if not stream.eof or stream.unused_data:
        raise refusal("is damaged: its data ends early or late", entry.name)


def _find_directory(content: bytes) -> tuple[int, int, int]:
    """Return the count of entries, and where the central directory begins and ends."""
    end = _find_end(content)
    _, disk, first_disk, here, count, size, offset, _ = _END.unpack_from(content, end)
    directory_end = end
    locator = end - _END64_LOCATOR.size
    if locator >= 0 and content.startswith(_END64_LOCATOR_SIGNATURE, locator):
        directory_end, wide = _find_end64(content, locator)
        for narrow, full, value in zip((count, size, offset), (_FULL_16, _FULL_32, _FULL_32), wide, strict=True):
            if narrow not in (full, value):
                raise _damaged("its two end records disagree")
        count, size, offset = wide
        here = count
    if disk not in (0, _FULL_16) or first_disk not in (0, _FULL_16) or here != count:
        raise _damaged("it is one part of a split archive")
    if offset + size != directory_end:
        raise _damaged("its central directory is not where it says")
    return count, offset, directory_end


def _find_end(content: bytes) -> int:
    """Find the end record: the last one whose comment reaches exactly to the end."""
    low = max(0, len(content) - _END.size - _MAX_COMMENT_BYTES)
    at = content.rfind(_END_SIGNATURE, low)
    while at >= 0:
        if at + _END.size <= len(content) and at + _END.size + _END.unpack_from(content, at)[-1] == len(content):
            return at
        at = content.rfind(_END_SIGNATURE, low, at)
    raise InvalidPackageError("the package is not a zip archive, or it is cut short")


def _find_end64(content: bytes, locator: int) -> tuple[int, tuple[int, int, int]]:
    """Return where the zip64 end record begins, and its count, size and offset."""
    _, _, at, _ = _END64_LOCATOR.unpack_from(content, locator)
    if at + _END64.size > locator or not content.startswith(_END64_SIGNATURE, at):
        raise _damaged("its zip64 end record is not where it says")
    fields = _END64.unpack_from(content, at)
    return at, (fields[7], fields[8], fields[9])


def _central_headers(content: bytes, count: int, offset: int, end: int) -> Iterator[_Header]:
    at = offset
    for _ in range(count):
        if at + _CENTRAL.size > end or not content.startswith(_CENTRAL_SIGNATURE, at):
            raise _damaged("its central directory is cut short")
        fields = _CENTRAL.unpack_from(content, at)
        name_at = at + _CENTRAL.size
        extra_at = name_at + fields[10]
        at = extra_at + fields[11] + fields[12]
        if at > end:
            raise _damaged("its central directory is cut short")
        size, compressed, header_at = _wide(content[extra_at : extra_at + fields[11]], fields[9], fields[8], fields[16])
        yield _Header(
            name=content[name_at:extra_at],
            flags=fields[3],
            method=fields[4],
            crc=fields[7],
            compressed_bytes=compressed,
            size_bytes=size,
            mode=fields[15] >> 16 if fields[1] >> 8 in _UNIX_SYSTEMS else 0,
            offset=header_at,
        )
    if at != end:
        raise _damaged("its central directory holds more than it says")


def _wide(extra: bytes, *values: int) -> list[int]:
    """Replace each value that is full by the next one of the zip64 extra field."""
    if _FULL_32 not in values:
        return list(values)
    at = 0
    while at + _EXTRA.size <= len(extra):
        tag, size = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if tag == _ZIP64_EXTRA and at + size <= len(extra) and size >= 8 * values.count(_FULL_32):
            quads = (quad for (quad,) in _QUAD.iter_unpack(extra[at : at + size - size % 8]))
            return [next(quads) if value == _FULL_32 else value for value in values]
        at += size
    raise _damaged("a zip64 size is missing")


def _entry(content: bytes, header: _Header, directory: int) -> Entry:
    """Check a header against the local one before its data and return the entry."""
    name = _decode(header)
    if header.flags & _ENCRYPTED:
        raise refusal("is encrypted", name)
    if header.flags & _PATCHED or header.method not in (_STORED, _DEFLATED):
        raise refusal("is compressed by a method other than deflate", name)
    if header.method == _STORED and header.compressed_bytes != header.size_bytes:
        raise refusal("is not of the size it declares", name)
    start = header.offset + _LOCAL.size + len(header.name)
    if start > directory or not content.startswith(_LOCAL_SIGNATURE, header.offset):
        raise refusal("is not where the archive says", name)
    local = _LOCAL.unpack_from(content, header.offset)
    local_name = content[start - len(header.name) : start]
    if local[9] != len(header.name) or local_name != header.name or local[3] != header.method or local[2] & _ENCRYPTED:
        raise refusal("is described in two ways by the archive", name)
    start += local[10]
    if start + header.compressed_bytes > directory:
        raise refusal("is cut short", name)
    return Entry(
        name=name,
        deflated=header.method == _DEFLATED,
        start=start,
        compressed_bytes=header.compressed_bytes,
        size_bytes=header.size_bytes,
        crc=header.crc,
        mode=header.mode,
    )


def _decode(header: _Header) -> str:
    """Decode a name: UTF-8, which many tools write without saying so, else the code page of the zip format."""
    try:
        return header.name.decode()
    except UnicodeDecodeError:
        if header.flags & _UTF8:
            raise _damaged("a name that should be UTF-8 is not") from None
        return header.name.decode("cp437")


def _damaged(issue: str) -> InvalidPackageError:
    return InvalidPackageError(f"the package is damaged or made to mislead: {issue}", issue=issue)
