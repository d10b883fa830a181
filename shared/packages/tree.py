"""
What the entries of an archive make together: one tree of folders, files and symbolic links.

A tree is refused whole when a path is unsafe (``paths.py``), when two entries are the same path, when something
lies below a file or a link, when a link leads out of the tree, or when it holds no file. Links themselves are
kept, as on AWS Lambda: package managers rely on them (``node_modules/.bin``, workspaces, pnpm's store), and Node
resolves a module by the real path behind them, so a copy would not behave the same. A link is safe here because
nothing is ever written through one: it may not be the parent of an entry, and it is made last.
"""

import stat
from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.errors import InvalidPackageError
from shared.packages.archive import Entry, inflate
from shared.packages.pace import paced
from shared.packages.paths import clean_path, normal_form, refusal

MAX_LINK_BYTES = 1024
EXECUTABLE = 0o555
_MAX_LINK_STEPS = 500_000  # over all links of a package; a large pnpm store needs a tenth
_MAX_LINK_HOPS = 40  # the kernel's own bound for one path
_KINDS = (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)  # 0: the archive keeps no modes


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link and what it holds."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Tree:
    """Paths are relative; ``directories`` are sorted, parents first, and complete for all files and links."""

    directories: Sequence[str]
    files: Sequence[tuple[str, Entry]]
    links: Sequence[Link]


def plant(content: bytes, entries: Sequence[Entry], *, max_nodes: int, with_links: bool = True) -> Tree:
    """
    Make the tree of an archive's entries. Without links it has none, and where they lead does not matter.

    Raises:
        InvalidPackageError: by the rules above, or it has more than ``max_nodes`` files, folders and links.
    """
    grown = _Growing(max_nodes)
    files: list[tuple[str, Entry]] = []
    links: list[Link] = []
    for entry in paced(entries):
        if stat.S_IFMT(entry.mode) not in _KINDS:
            raise refusal("is a device, a pipe or a socket", entry.name)
        path = clean_path(entry.name)
        if entry.is_directory:
            _add_directory(grown, entry, path)
        elif not path:
            raise refusal("has no name", entry.name)
        elif entry.is_link:
            grown.add_leaf(path, entry.name)
            if with_links:
                links.append(Link(path, _target(content, entry)))
        else:
            grown.add_leaf(path, entry.name)
            files.append((path, entry))
    grown.check_parents()
    if not files:
        raise InvalidPackageError("the package holds no file")
    _check_links(links)
    return Tree(sorted(grown.directories), files, links)


def _add_directory(grown: "_Growing", entry: Entry, path: str) -> None:
    if entry.size_bytes:
        raise refusal("is a folder with content", entry.name)
    if path:
        grown.add_directory(path)


class _Growing:
    """The paths seen so far; bounded, since a short archive can name very many folders."""

    def __init__(self, max_nodes: int) -> None:
        self.directories: set[str] = set()
        self._leaves: dict[str, str] = {}
        self._max_nodes = max_nodes

    def add_leaf(self, path: str, name: str) -> None:
        normal = normal_form(path)
        if normal in self._leaves:
            raise refusal("is in the package twice", name)
        self._leaves[normal] = name
        if "/" in path:
            self.add_directory(path.rpartition("/")[0])
        self._check_size()

    def add_directory(self, path: str) -> None:
        while path and path not in self.directories:
            self.directories.add(path)
            path = path.rpartition("/")[0]
            self._check_size()

    def check_parents(self) -> None:
        """Refuse what is a folder and something else at once."""
        for path in paced(self.directories):
            if (name := self._leaves.get(normal_form(path))) is not None:
                raise refusal("is a folder and something else at once", name)

    def _check_size(self) -> None:
        if len(self.directories) + len(self._leaves) > self._max_nodes:
            raise InvalidPackageError(f"the package has more than {self._max_nodes} files and folders")


def _target(content: bytes, entry: Entry) -> str:
    if entry.size_bytes > MAX_LINK_BYTES:
        raise refusal("is a link longer than a path can be", entry.name)
    try:
        target = b"".join(inflate(content, entry)).decode()
    except UnicodeDecodeError:
        raise refusal("is a link to a name that is not UTF-8", entry.name) from None
    if not target or "\0" in target:
        raise refusal("is a link to nothing", entry.name)
    return target


def _check_links(links: Sequence[Link]) -> None:
    walk = _Walk({link.path: link.target for link in links})
    for link in paced(links):
        if not walk.stays_inside(link):
            raise refusal("is a link that leads out of the package", link.path)


class _Walk:
    """Follows links as the kernel would, over the tree alone; no file system is asked."""

    def __init__(self, targets: dict[str, str]) -> None:
        self._targets = targets
        self._steps = 0

    def stays_inside(self, link: Link) -> bool:
        """Tell whether the way of a link never leaves the root, also where it leads to nothing."""
        at = link.path.split("/")[:-1]
        ahead = _reversed_parts(link.target)
        hops = 0
        if link.target.startswith("/"):
            return False
        while ahead:
            self._count(link)
            part = ahead.pop()
            if part == "..":
                if not at:
                    return False
                at.pop()
            elif part not in ("", "."):
                at.append(part)
                target = self._targets.get("/".join(at))
                if target is not None:
                    hops += 1
                    if hops > _MAX_LINK_HOPS:
                        raise refusal("is a link that goes in a circle", link.path)
                    at.pop()
                    ahead.extend(_reversed_parts(target))
        return True

    def _count(self, link: Link) -> None:
        self._steps += 1
        if self._steps > _MAX_LINK_STEPS:
            raise refusal("is one link too many to follow", link.path)


def _reversed_parts(target: str) -> list[str]:
    return target.split("/")[::-1]


def readable_mode(entry: Entry) -> int:
    """Return the mode a file gets on disk: nobody writes, all read, and all run it if anybody could."""
    return EXECUTABLE if entry.mode & 0o111 else 0o444
