"""A worker pool with functions made of strings, and a look at what it leaves behind."""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.invoker.pool.pool import EngineSettings, FunctionCode, Invocation, WorkerPool
from shared.domain.outcome import Raised, Report, Returned


def make_directory(prefix: str) -> Path:
    """Make a directory that the users of slots can reach: pytest's own are closed to them."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    path.chmod(0o755)
    return path


class Engine:
    """One pool under test."""

    def __init__(self, pool: WorkerPool, packages: Path) -> None:
        self.pool = pool
        self._packages = packages

    def deploy(
        self,
        files: Mapping[str, str | bytes] | str,
        *,
        runtime: str = "nodejs20.x",
        handler: str | None = None,
        convention: str = "lambda",
        name: str = "thing",
        **options: Any,
    ) -> FunctionCode:
        """Write a package and return its function; a plain string is its only file."""
        version = uuid.uuid4().hex
        package = self._packages / version
        package.mkdir()
        package.chmod(0o755)
        python = runtime.startswith("python")
        if isinstance(files, str):
            only = "main.py" if python else "bootstrap" if runtime.startswith("provided") else "index.js"
            files = {only: files}
        for place, content in files.items():
            path = package / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            path.chmod(0o555 if place == "bootstrap" else 0o444)
        if handler is None:
            handler = "" if convention == "neo" else "main.handler" if python else "index.handler"
        made: dict[str, Any] = {"memory_mb": 128, "timeout_s": 5.0, "function_id": f"func_{version[:10]}", **options}
        return FunctionCode(
            version_id=version,
            name=name,
            runtime=runtime,
            convention=convention,
            handler=handler,
            package_sha256=version,
            **made,
        )

    async def fetch(self, code: FunctionCode) -> Path:
        return self._packages / code.package_sha256

    async def invoke(
        self, code: FunctionCode, event: object = None, *, deadline_s: float = 20.0, **fields: Any
    ) -> Report:
        """Call a function and return the whole report."""
        given = {"request_id": str(uuid.uuid4()), "event": json.dumps(event).encode(), **fields}
        return await self.pool.invoke(code, Invocation(deadline_s=deadline_s, **given))

    async def result(self, code: FunctionCode, event: object = None) -> Any:
        """Call a function that must succeed and return its result."""
        outcome = (await self.invoke(code, event)).outcome
        assert isinstance(outcome, Returned), outcome
        return json.loads(outcome.result)

    async def error(self, code: FunctionCode, event: object = None) -> Raised:
        """Call a function that must raise and return what it raised."""
        outcome = (await self.invoke(code, event)).outcome
        assert isinstance(outcome, Raised), outcome
        return outcome


def spawner_below(guard: int) -> int:
    """Return the id of the process that starts sandboxes, 0 while there is none; the one we know is its guard."""
    children = Path(f"/proc/{guard}/task/{guard}/children").read_text("ascii").split()
    return int(children[0]) if children else 0


def processes_in(directory: Path) -> list[str]:
    """Return the command lines of processes that run a program or hold a working directory below ``directory``."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            maps = (entry / "maps").read_text("utf-8", "replace")
        except OSError:
            continue
        if str(directory) in command or str(directory) in maps:
            found.append(f"{entry.name}: {command}")
    return found


@asynccontextmanager
async def running_engine(directory: Path, **overrides: Any) -> AsyncIterator[Engine]:
    """Run a pool; when it is closed nothing of it may be left."""
    settings = {"stem_cells_node": 1, "stem_cells_python": 0, **overrides}
    packages = make_directory("tidemill-packages-")
    runs, groups = set(directory.glob("run-*")), leftover_groups()
    engine: Engine | None = None

    async def fetch(code: FunctionCode) -> Path:
        assert engine is not None
        return await engine.fetch(code)

    pool = WorkerPool(EngineSettings(directory=directory, **settings), fetch)
    engine = Engine(pool, packages)
    try:
        await pool.start()
        try:
            yield engine
        finally:
            await pool.close()
        assert set(directory.glob("run-*")) <= runs
        assert leftover_groups() <= groups
    finally:
        shutil.rmtree(packages, ignore_errors=True)


def leftover_groups() -> set[str]:
    """Return control groups of this process that are there."""
    found: set[str] = set()
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        fields = line.split()
        if fields[2] in {"cgroup", "cgroup2"}:
            for parent, names, _ in os.walk(fields[1]):
                found |= {f"{parent}/{name}" for name in names if name.startswith(f"tidemill-{os.getpid()}-")}
    return found
