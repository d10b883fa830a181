"""
SHA-256 digests of the files this process has loaded: what the attestation document says of them.

Anybody can make them again from a checkout, with the tools of any Linux::

    find services shared -type f ! -path '*/__pycache__/*' | LC_ALL=C sort | xargs sha256sum | sha256sum

for ``server``, and the same with ``services/invoker/runtimes`` for ``runner``: the files that run beside a
function. Python itself and the packages it loads are not in them.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_SERVER = ("services", "shared")
_RUNNER = ("services/invoker/runtimes",)


@cache
def server() -> str:
    """Return the digest of the sources of all services; blocks for some 20 ms, the first time."""
    return digest_of(_ROOT, _SERVER)


@cache
def runner() -> str:
    """Return the digest of the files that run beside a function; blocks for a few ms, the first time."""
    return digest_of(_ROOT, _RUNNER)


def digest_of(root: Path, folders: Sequence[str]) -> str:
    """Return the digest of all files in these folders of ``root``, by their names and contents."""
    files = [
        path
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
    ]
    names = sorted((path.relative_to(root).as_posix().encode(), path) for path in files)
    whole = hashlib.sha256()
    for name, path in names:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").hexdigest().encode() + b"  " + name + b"\n")
    return whole.hexdigest()
