"""
Writing a package entry by entry, never with more of it in memory than what is written and one chunk.

The same entries give the same bytes: sorted by path, with a fixed time, deflated. Modes are kept where the caller has
one; a file without is 0644. The program that a runtime starts may always be run.
"""

import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

from shared.domain.errors import InvalidPackageError
from shared.packages.package import LIMITS, PROGRAM, PackageLimits

_LEVEL = 3
"""Of deflate: half the time of the usual 6 for a tenth more bytes; somebody waits for the deployment."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_PLAIN = 0o644
_MAY_RUN = 0o111
_LINK = (stat.S_IFLNK | 0o777) << 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or a link when ``is_link``: then the chunks are what it points to. ``mode`` 0 is none."""

    path: str
    chunks: Iterable[bytes]
    mode: int = 0
    is_link: bool = False


def pack(pieces: Iterable[Piece], limits: PackageLimits = LIMITS) -> bytes:
    """
    Make a package of pieces whose paths are clean and each there once.

    Raises:
        InvalidPackageError: it gets larger than a package may be.
    """
    buffer = BytesIO()
    inflated = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for piece in sorted(pieces, key=lambda each: each.path):
            with archive.open(_header(piece), "w") as out:
                for chunk in piece.chunks:
                    inflated += len(chunk)
                    _check("inflates to", inflated, limits.inflated_bytes)
                    out.write(chunk)
            _check("is", buffer.tell(), limits.compressed_bytes)
    content = buffer.getvalue()
    _check("is", len(content), limits.compressed_bytes)
    return content


def whole(content: bytes) -> Iterator[bytes]:
    """Return the one chunk that something in memory is."""
    yield content


def _header(piece: Piece) -> zipfile.ZipInfo:
    header = zipfile.ZipInfo(piece.path, _EARLIEST)
    header.compress_type, header.create_system = zipfile.ZIP_DEFLATED, _UNIX
    permissions = stat.S_IMODE(piece.mode) or _PLAIN
    if piece.path == PROGRAM:
        permissions |= _MAY_RUN  # AWS Lambda starts no other, and who writes or uploads text often has no modes
    header.external_attr = _LINK if piece.is_link else (stat.S_IFREG | permissions) << 16
    return header


def _check(verb: str, size: int, limit: int) -> None:
    if size > limit:
        raise InvalidPackageError(f"the package {verb} more than {limit} bytes", limit=limit)
