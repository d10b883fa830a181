"""The files of this repository that people wrote: neither what git ignores nor what tools made."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

_NOT_OURS = {"build", "node_modules", "__pycache__", "dist", "results"}
_HIDDEN_BUT_OURS = {".ci", ".env.example", ".dockerignore", ".gitignore", ".github"}


def our_files(directory: Path = ROOT) -> Iterator[Path]:
    """Yield every file, without going into directories of others."""
    for path in sorted(directory.iterdir()):
        if path.name in _NOT_OURS or (path.name.startswith(".") and path.name not in _HIDDEN_BUT_OURS):
            continue
        if path.is_dir():
            yield from our_files(path)
        elif path.is_file():
            yield path


def read(path: Path) -> str:
    """Return a file's text; what is not UTF-8 is not text and reads as empty."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def imported(path: Path) -> set[str]:
    """Return the top-level names that a Python file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module.split(".")[0])
    return names
