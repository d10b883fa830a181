"""
What a path inside a package may be.

A path is relative, its separator is ``/``, and it means the same on every machine: no ``..`` segment, nothing
absolute, no drive letter, no backslash, no control character, no empty segment, at most 255 bytes a segment and
1024 in all (UTF-8). ``foo..bar.js`` is fine: segments are judged, not substrings. One trailing ``/`` marks a
folder, and ``.`` segments are dropped, as ``./index.js`` is how some tools write ``index.js``.

Two paths are the same when their NFC forms are: which of two such files a handler would load depends on the
machine. Case is kept apart, as on the Linux file systems that functions run on and in published npm packages.
"""

import re
import unicodedata

from shared.domain.errors import InvalidPackageError

MAX_SEGMENT_BYTES = 255
MAX_PATH_BYTES = 1024

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")
_SHOWN_CHARACTERS = 200


def clean_path(name: str) -> str:
    """
    Return the path a name stands for, without ``.`` segments and trailing ``/``; empty for the root itself.

    Raises:
        InvalidPackageError: the name breaks a rule; ``entry`` shows it, ``issue`` says which.
    """
    issue = _issue(name)
    if issue:
        raise refusal(issue, name)
    return "/".join(part for part in name.removesuffix("/").split("/") if part != ".")


def _issue(name: str) -> str:
    """Return the first rule that a name breaks, or nothing."""
    parts = name.removesuffix("/").split("/")
    first = next((part for part in parts if part != "."), "")
    rules = (
        ("has a control character in its path", _CONTROL.search(name)),
        ("has a path that is not Unicode", _LONE_SURROGATE.search(name)),
        ("has a backslash in its path; the separator is /", "\\" in name),
        ("has an absolute path", name.startswith("/") or _DRIVE.match(first)),
        ("leaves the package by ..", ".." in parts),
        ("has an empty segment in its path", "" in parts),
        (f"has a path over {MAX_PATH_BYTES} bytes", _bytes(name) > MAX_PATH_BYTES),
        (f"has a path segment over {MAX_SEGMENT_BYTES} bytes", max(map(_bytes, parts)) > MAX_SEGMENT_BYTES),
    )
    return next((issue for issue, broken in rules if broken), "")


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def normal_form(path: str) -> str:
    """Return the form in which paths are compared."""
    return unicodedata.normalize("NFC", path)


def refusal(issue: str, name: str) -> InvalidPackageError:
    """Return the error for one entry; its name is shown escaped and cut, it may be hostile."""
    shown = ascii(name[:_SHOWN_CHARACTERS])
    return InvalidPackageError(f"package entry {shown} {issue}", entry=shown, issue=issue)
