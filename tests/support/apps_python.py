"""
Python applications with the packages they need, copied out of this environment as a user would copy them.

Only pure Python goes in: compiled modules belong to one interpreter, and the packages used here do without.
"""

import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

_LEFT_OUT = {".so", ".pyc", ".pyi", ".c", ".pyx"}


def packaged_app(source: Path, *distributions: str) -> bytes:
    """Return a zip of an application's files and of the importable files of some installed distributions."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.glob("*.py")):
            archive.write(path, path.name)
        for name in distributions:
            for inside, path in _files(name):
                archive.write(path, inside)
    return buffer.getvalue()


def _files(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a distribution that can be imported, and the metadata packages ask for at run time."""
    importable = {top for top, owners in packages_distributions().items() if name in map(str.lower, owners)}
    files = distribution(name).files
    assert files is not None, f"{name} does not list its files"
    for file in files:
        top = file.parts[0].removesuffix(".py")
        if (top in importable or top.endswith(".dist-info")) and file.suffix not in _LEFT_OUT:
            yield file.as_posix(), Path(str(file.locate()))
