"""
Unpacked packages on this machine's disk, so that a run never waits for the store twice.

::

    <directory>/<n>/lock                      held by the one process that uses <n>
                    <sha256>-<bytes>/         complete: renamed into place when it was
                    new-...                   being unpacked
                    old-...                   being removed

Invokers that share a machine each take the first <n> that is free, so none removes what another uses; a killed
one gives its place back. What is half written or half removed when a process dies is never taken for a package,
and goes at the next start. After a crash of the machine itself everything goes: what a power cut leaves of
unsynced files is not known, and all of it can be fetched again.
"""

import asyncio
import fcntl
import math
import os
import re
import shutil
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from shared.domain.errors import NotFoundError, UnavailableError
from shared.packages.package import unpack
from shared.packages.store import PackageStore, is_digest

KEEP_S = 60.0
_MAX_PLACES = 64
_PLACE_MODE = 0o711  # sandboxes under other uids reach a package by its digest, and cannot list the others
_BLOCK_BYTES = 4096
_THREADS = 2
_COMPLETE = re.compile(r"(?P<sha256>[0-9a-f]{64})-(?P<bytes>[0-9]+)")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    path: Path
    disk_bytes: int
    used_at: float


class PackageCache:
    """
    A cache of at most ``max_bytes`` on disk, the least recently used package going first.

    What ``fetch`` returned stays for at least ``keep_s`` after it: whoever needs it longer makes hard links or
    fetches again. One instance a process; close it when nothing is being fetched.
    """

    def __init__(self, store: PackageStore, directory: Path, max_bytes: int, *, keep_s: float = KEEP_S) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self._place, self._lock = _take_place(directory)
        self._held, leftovers = _survey(self._place)
        self._bytes = sum(held.disk_bytes for held in self._held.values())
        self._bringing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Each of these holds a whole package in memory.
        self._turns = asyncio.Semaphore(_THREADS)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="packages")
        for path in leftovers:
            self._remove(path)

    async def close(self) -> None:
        """Await what is being written or removed, and give the place back."""
        await asyncio.to_thread(self._threads.shutdown)
        self._lock.close()

    async def fetch(self, sha256: str) -> Path:
        """
        Return the directory a package is unpacked in, fetching it if need be; once for all who ask together.

        Raises:
            NotFoundError: the store has no such package.
            InvalidPackageError: what the store has breaks the rules of packages.
            UnavailableError: the store does not answer, the disk is full, or everything in a full cache is in use.
        """
        if not is_digest(sha256):
            raise NotFoundError(f"no package {sha256[:64]!r}")
        lock = self._bringing.get(sha256)
        if lock is None:
            lock = self._bringing[sha256] = asyncio.Lock()
        async with lock:
            held = self._held.get(sha256)
            if held is None:
                async with self._turns:
                    held = await self._bring(sha256)
            held.used_at = time.monotonic()
            self._held.move_to_end(sha256)
            return held.path

    async def _bring(self, sha256: str) -> _Held:
        content = await self._store.get(sha256)
        fresh = self._place / f"new-{uuid4().hex}"
        job = asyncio.get_running_loop().run_in_executor(self._threads, _unpack, content, fresh)
        try:
            disk_bytes = await asyncio.shield(job)
            self._make_room(disk_bytes)
        except BaseException:
            # Cancelled while the thread goes on, or no room: what was or will be written goes when it is done.
            job.add_done_callback(partial(self._abandon, fresh))
            raise
        path = self._place / f"{sha256}-{disk_bytes}"
        fresh.rename(path)
        held = self._held[sha256] = _Held(path, disk_bytes, time.monotonic())
        self._bytes += disk_bytes
        return held

    def _make_room(self, disk_bytes: int) -> None:
        keep_after = time.monotonic() - self._keep_s
        while self._held and self._bytes + disk_bytes > self._max_bytes:
            sha256, oldest = next(iter(self._held.items()))
            if oldest.used_at > keep_after:
                break
            del self._held[sha256]
            self._bytes -= oldest.disk_bytes
            old = self._place / f"old-{uuid4().hex}"
            oldest.path.rename(old)
            self._remove(old)
        if self._bytes + disk_bytes > self._max_bytes:
            raise UnavailableError("the package cache is full of packages in use", limit=self._max_bytes)

    def _abandon(self, fresh: Path, job: "asyncio.Future[int]") -> None:
        if not job.cancelled():
            job.exception()  # whoever waited for it has gone
        self._remove(fresh)

    def _remove(self, path: Path) -> None:
        try:
            self._threads.submit(shutil.rmtree, path, ignore_errors=True)
        except RuntimeError:
            _log.info("package_left_for_next_start", path=str(path))  # the cache is closed


def _unpack(content: bytes, fresh: Path) -> int:
    """Unpack and return how much of the disk it takes; leave nothing behind on an error."""
    try:
        unpack(content, fresh)
        return _disk_bytes(fresh)
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError):
            raise UnavailableError(f"a package cannot be unpacked here: {error}") from error
        raise


def _disk_bytes(directory: Path) -> int:
    """Return what a directory takes, in whole blocks: ten thousand small files are not small."""
    total = _BLOCK_BYTES
    for parent, folders, files in os.walk(directory):
        total += _BLOCK_BYTES * (len(folders) + len(files))
        total += sum(os.lstat(f"{parent}/{name}").st_size // _BLOCK_BYTES * _BLOCK_BYTES for name in files)
    return total


def _take_place(directory: Path) -> tuple[Path, BinaryIO]:
    """Return the first place that no living process uses, and the lock that says it is ours."""
    for number in range(_MAX_PLACES):
        place = directory / str(number)
        place.mkdir(_PLACE_MODE, parents=True, exist_ok=True)
        place.chmod(_PLACE_MODE)
        lock = (place / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return place, lock
    raise UnavailableError(f"{_MAX_PLACES} processes use {directory} already")


def _survey(place: Path) -> tuple[OrderedDict[str, _Held], list[Path]]:
    """Return what earlier processes have left here: packages, the longest unused first; and what is to go."""
    boot = place / "boot"
    booted = _BOOT_ID.read_text("ascii")
    same_boot = boot.is_file() and boot.read_text("ascii") == booted
    found: list[tuple[float, str, _Held]] = []
    leftovers: list[Path] = []
    for path in place.iterdir():
        complete = _COMPLETE.fullmatch(path.name)
        if complete is not None and same_boot:
            held = _Held(path, int(complete["bytes"]), used_at=-math.inf)
            found.append((path.stat().st_mtime, complete["sha256"], held))
        elif complete is not None:
            leftovers.append(path.rename(place / f"old-{uuid4().hex}"))
        elif path.is_dir():
            leftovers.append(path)
    boot.write_text(booted, "ascii")
    return OrderedDict((sha256, held) for _, sha256, held in sorted(found, key=lambda each: each[:2])), leftovers
