"""
What of a package is text: the files that people write, read and change one by one.

A file is text when its bytes are UTF-8 without NUL and its name is not that of a known binary format: what is called
``.js`` and is not text is left out all the same. A byte order mark is dropped.
"""

import codecs
import re
from collections.abc import Iterator

from shared.domain.errors import InvalidPackageError
from shared.packages.archive import Entry, inflate
from shared.packages.pace import paced
from shared.packages.pack import Piece, pack
from shared.packages.package import LIMITS, PackageLimits, read_tree

_BINARY = re.compile(
    r".*\.(7z|a|avi|bin|bmp|class|dll|dylib|eot|exe|flac|gif|gz|ico|jar|jpe?g|mov|mp[34]|node|o|og[gv]|otf|pdf|png|py[cd]"
    r"|rar|so|tar|tgz|tiff?|ttf|wasm|wav|web[mp]|woff2?|xz|zip)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_CODE = "__MACOSX"
_NO_FILE = ".DS_Store"


def text_package(content: bytes, limits: PackageLimits = LIMITS) -> bytes:
    """
    Return a package of an uploaded one's text files alone; folders, links and what is binary are left out.

    Works for up to a few seconds, in bounded memory: call it from a thread.

    Raises:
        InvalidPackageError: the upload breaks a rule of packages, or has no text file.
    """
    tree = read_tree(content, limits, with_links=False)
    kept = [(path, entry) for path, entry in paced(tree.files) if _may_be(path) and is_text(content, entry)]
    if not kept:
        raise InvalidPackageError("the package holds no text or code file", issue="no text")
    return pack((Piece(path, _without_mark(inflate(content, entry))) for path, entry in kept), limits)


def is_text(content: bytes, entry: Entry) -> bool:
    """Tell whether an entry's bytes are text; raises ``InvalidPackageError`` for a damaged one."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in inflate(content, entry):
            if b"\0" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _may_be(path: str) -> bool:
    *folders, name = path.split("/")
    return _NOT_CODE not in folders and name != _NO_FILE and not _BINARY.fullmatch(name)


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from chunks
