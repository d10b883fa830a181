"""
The files of a package one by one: listed, read, and changed.

A change makes a new package: all other files, links and modes are as they were. It is judged like any package, so a
file cannot become a folder of another, and no path may lead out. All functions may work for a second with a large
package: call them from a thread.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, assert_never

from shared.domain.errors import InvalidPackageError, InvalidRequestError, NameTakenError, NotFoundError
from shared.packages.archive import Entry, inflate
from shared.packages.pack import Piece, pack, whole
from shared.packages.package import LIMITS, PackageLimits, read_tree
from shared.packages.paths import clean_path, normal_form
from shared.packages.text import is_text
from shared.packages.tree import Tree

FILE = "File"


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file of a package."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """
    One change of one file: ``content`` goes with create and replace, ``new_path`` with rename.

    Paths are as somebody wrote them; ``edited`` judges them.
    """

    kind: Literal["create", "replace", "rename", "delete"]
    path: str
    content: str = ""
    new_path: str = ""

    def as_data(self) -> dict[str, str]:
        """Return what ``of_data`` makes the same edit of."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> "Edit":
        return cls(**data)


def list_files(content: bytes) -> tuple[PackageFile, ...]:
    """Return the files of a package by path; raises ``InvalidPackageError``."""
    return tuple(sorted((PackageFile(path, entry.size_bytes) for path, entry in read_tree(content).files), key=_path))


def read_text(content: bytes, path: str, limit_bytes: int) -> str:
    """
    Return the text of a file.

    Raises:
        NotFoundError: there is no such file; the field ``what`` is ``FILE``.
        InvalidRequestError: it is larger than ``limit_bytes``, or not text.
        InvalidPackageError: the path is none, or the package is damaged.
    """
    path = file_path(path)
    entry = dict(read_tree(content).files).get(path)
    if entry is None:
        raise _missing(path)
    if entry.size_bytes > limit_bytes:
        raise InvalidRequestError(f"{path} is over {limit_bytes} bytes", field="path", issue="too large")
    if not is_text(content, entry):
        raise InvalidRequestError(f"{path} is not a text file", field="path", issue="not text")
    return b"".join(inflate(content, entry)).decode()


def edited(content: bytes, edit: Edit, limits: PackageLimits = LIMITS) -> bytes:
    """
    Return the package with one change made.

    Raises:
        NotFoundError: the file to change is not there; the field ``what`` is ``FILE``.
        NameTakenError: the file to make, or the new name of one, is there already.
        InvalidRequestError: a new name that is the old one, or nothing would be left.
        InvalidPackageError: a path is none, or the package would break a rule.
    """
    tree = read_tree(content, limits)
    path = file_path(edit.path)
    there = {normal_form(name) for name in (*dict(tree.files), *(link.path for link in tree.links))}
    if edit.kind == "create" and normal_form(path) in there:
        raise _there(path, "path")
    if edit.kind != "create" and path not in dict(tree.files):
        raise _missing(path)
    pieces = _pieces(content, tree)
    match edit.kind:
        case "create" | "replace":
            mode = pieces[path].mode if path in pieces else 0
            pieces[path] = Piece(path, whole(edit.content.encode()), mode)
        case "rename":
            new_path = file_path(edit.new_path)
            if new_path == path:
                raise InvalidRequestError(
                    "The new path is the old one", field="newPath", issue="the same", case="Invalid request"
                )
            if normal_form(new_path) in there:
                raise _there(new_path, "newPath")
            old = pieces.pop(path)
            pieces[new_path] = Piece(new_path, old.chunks, old.mode)
        case "delete":
            del pieces[path]
            if not any(not piece.is_link for piece in pieces.values()):
                raise InvalidRequestError("The last file of a function cannot be deleted", field="path", issue="last")
        case _:
            assert_never(edit.kind)
    changed = pack(pieces.values(), limits)
    read_tree(changed, limits)
    return changed


def file_path(path: str) -> str:
    """Return a path as packages have it; raises ``InvalidPackageError`` for one that no file may have."""
    clean = clean_path(path)
    if not clean or path.endswith("/"):
        raise InvalidPackageError("a file has a path that does not end in /", field="path", issue="no file")
    return clean


def _pieces(content: bytes, tree: Tree) -> dict[str, Piece]:
    pieces = {path: Piece(path, _lazily(content, entry), entry.mode) for path, entry in tree.files}
    links = {link.path: Piece(link.path, whole(link.target.encode()), is_link=True) for link in tree.links}
    return pieces | links


def _lazily(content: bytes, entry: Entry) -> Iterator[bytes]:
    yield from inflate(content, entry)


def _missing(path: str) -> NotFoundError:
    return NotFoundError(f"There is no file {path!r}", what=FILE)


def _there(path: str, field: str) -> NameTakenError:
    return NameTakenError(f"There is a file {path!r} already", field=field, case="File already exists")


def _path(file: PackageFile) -> str:
    return file.path
