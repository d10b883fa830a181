"""
Deployment packages as bytes: judged, built and unpacked.

A package is a zip of at most 50 MB that inflates to at most 250 MB, declared and really (``PackageLimits``; the
figures are AWS Lambda's). It is read strictly (``archive.py``), its paths and links must be safe (``paths.py``,
``tree.py``), and it is refused whole: skipping a bad entry would hide an attack or a broken build. Binary files
are kept. Judging reads every byte once, in constant memory, and stops at the first that is too many.

All three functions work for up to a few seconds: call them from a thread, never on an event loop (``pace.py``).
"""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from shared.domain.errors import InvalidPackageError
from shared.packages.archive import Entry, inflate, read_entries
from shared.packages.pace import paced
from shared.packages.paths import clean_path, normal_form, refusal
from shared.packages.tree import EXECUTABLE, Tree, plant, readable_mode

PROGRAM = "bootstrap"
"""What runs a package whose runtime is ``provided.*``."""
_MB = 1024 * 1024
_DIRECTORY_MODE = 0o755
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_REGULAR_FILE = 0o100644 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageLimits:
    """How large a package may be. ``nodes`` counts files, folders and links."""

    compressed_bytes: int = 50 * _MB
    inflated_bytes: int = 250 * _MB
    nodes: int = 30_000


LIMITS = PackageLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageInfo:
    """What a valid package holds."""

    files: int
    links: int
    inflated_bytes: int


def validate_zip(content: bytes, limits: PackageLimits = LIMITS) -> PackageInfo:
    """
    Judge an uploaded package.

    Raises:
        InvalidPackageError: it breaks a rule; the message says which and names the entry.
    """
    tree = read_tree(content, limits)
    for _, entry in paced(tree.files):
        for _chunk in inflate(content, entry):
            pass
    return _info(tree)


def unpack(content: bytes, directory: Path, limits: PackageLimits = LIMITS) -> PackageInfo:
    """
    Write a package into ``directory``, which must not exist.

    Folders get mode 0755, files 0444, or 0555 where the archive lets anybody run them. ``bootstrap`` at the root
    can always be run: archives made on Windows, or by a library, keep no modes. On any error what was written stays
    for the caller to remove.

    Raises:
        InvalidPackageError: the package breaks a rule.
        OSError: the disk is full, ``directory`` exists.
    """
    tree = read_tree(content, limits)
    _make_directory(directory)
    for path in paced(tree.directories):
        _make_directory(directory / path)
    for path, entry in paced(tree.files):
        mode = EXECUTABLE if path == PROGRAM else readable_mode(entry)
        _write(content, entry, f"{directory}/{path}", mode)
    for link in paced(tree.links):
        (directory / link.path).symlink_to(link.target)
    return _info(tree)


def holds_program(content: bytes, limits: PackageLimits = LIMITS) -> bool:
    """
    Tell whether a package has a ``bootstrap`` at its root, a file or a link.

    Raises:
        InvalidPackageError: the package breaks a rule that can be judged without inflating its files.
    """
    tree = read_tree(content, limits)
    return PROGRAM in {path for path, _ in tree.files} | {link.path for link in tree.links}


def build_package(files: Mapping[str, bytes]) -> bytes:
    """
    Make a package of files by path.

    The same files give the same bytes, whatever their order: sorted, with a fixed time, mode 0644, deflated.

    Raises:
        InvalidPackageError: a path is not allowed, or is there twice.
    """
    seen: set[str] = set()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            normal = normal_form(clean_path(path))
            if normal in seen or not normal:
                raise refusal("is in the package twice" if normal else "has no name", path)
            seen.add(normal)
            entry = zipfile.ZipInfo(clean_path(path), _EARLIEST)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, _UNIX, _REGULAR_FILE
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def read_tree(content: bytes, limits: PackageLimits = LIMITS, *, with_links: bool = True) -> Tree:
    """
    Return the tree of a package, checked as far as can be without inflating its files. ``with_links`` as in ``plant``.

    Raises:
        InvalidPackageError: it breaks a rule.
    """
    if len(content) > limits.compressed_bytes:
        raise _too_large("is", len(content), limits.compressed_bytes)
    entries = read_entries(content, max_entries=limits.nodes)
    declared = sum(entry.size_bytes for entry in entries)
    if declared > limits.inflated_bytes:
        raise _too_large("inflates to", declared, limits.inflated_bytes)
    return plant(content, entries, max_nodes=limits.nodes, with_links=with_links)


def _too_large(verb: str, size: int, limit: int) -> InvalidPackageError:
    return InvalidPackageError(f"the package {verb} {size} bytes; at most {limit} are allowed", limit=limit)


def _info(tree: Tree) -> PackageInfo:
    return PackageInfo(
        files=len(tree.files),
        links=len(tree.links),
        inflated_bytes=sum(entry.size_bytes for _, entry in tree.files),
    )


def _make_directory(directory: Path) -> None:
    directory.mkdir(_DIRECTORY_MODE)
    directory.chmod(_DIRECTORY_MODE)  # whatever the umask says: sandboxes run under other uids


def _write(content: bytes, entry: Entry, path: str, mode: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(file, mode)
        for chunk in inflate(content, entry):
            _write_all(file, chunk)
    finally:
        os.close(file)


def _write_all(file: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]
