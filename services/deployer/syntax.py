"""
Does a JavaScript source compile, as the body of a CommonJS module? It is never run.

Node's own parser judges, so the answer is that of the runtime: an ES module is refused, and so is text that
closes the function around it. One process is kept for all sources, so that a verdict takes a millisecond; it is
replaced when it dies, when a source keeps it busy past the deadline, and after a number of sources, and ended
when nothing was asked for a while.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson

from services.deployer.compiler import Compiler, CompilerError
from shared.domain.errors import InvalidCodeError, UnavailableError
from shared.domain.runtime import RUNTIMES, Family

_TRIES = 2


class SyntaxChecker:
    """Judges sources one after another. Close it, or the process stays as long as ours."""

    def __init__(
        self, node: Path, *, deadline_s: float = 2.0, sources_per_process: int = 500, idle_s: float = 60.0
    ) -> None:
        self._node = node
        self._deadline_s = deadline_s
        self._sources_per_process = sources_per_process
        self._idle_s = idle_s
        self._compiler: Compiler | None = None  # touched by the one thread, and when that has ended
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="syntax")
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        return None if self._compiler is None else self._compiler.pid

    async def check(self, source: str) -> None:
        """
        Return if the source compiles.

        Raises:
            InvalidCodeError: it does not: ``name``, ``line``, ``stack`` say what and where; or it cannot be
                judged, because a fresh compiler died of it or came to no end.
            UnavailableError: no compiler can be started.
        """
        loop = asyncio.get_running_loop()
        verdict = await loop.run_in_executor(self._thread, self._judge, source.encode())
        self._stop_timer()
        self._idle_timer = loop.call_later(self._idle_s, self._thread.submit, self._end_compiler)
        if verdict is not None:
            raise verdict

    async def close(self) -> None:
        """Let the source in hand be judged, then end the process."""
        self._stop_timer()
        await asyncio.to_thread(self._thread.shutdown)
        await asyncio.to_thread(self._end_compiler)

    def _stop_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    def _judge(self, source: bytes) -> InvalidCodeError | None:
        for _ in range(_TRIES):
            compiler = self._ready_compiler()
            try:
                return _verdict(compiler.judge(source, self._deadline_s))
            except CompilerError:
                self._end_compiler()  # the next one is fresh: then it is the source's fault
        message = "the source cannot be compiled: the compiler comes to no end or dies of it"
        return InvalidCodeError(message, name="SyntaxError", line=0, stack=f"SyntaxError: {message}")

    def _ready_compiler(self) -> Compiler:
        if self._compiler is not None and self._compiler.judged >= self._sources_per_process:
            self._end_compiler()
        if self._compiler is None:
            try:
                self._compiler = Compiler(self._node)
            except (CompilerError, OSError) as error:
                raise UnavailableError(f"the JavaScript compiler does not start: {error}") from error
        return self._compiler

    def _end_compiler(self) -> None:
        if self._compiler is not None:
            self._compiler.close()
            self._compiler = None


class SyntaxCheckers:
    """One checker for each Node.js program, so that a source is judged by the one that will run it."""

    def __init__(self, nodes: Mapping[Family, Path]) -> None:
        checkers = {node: SyntaxChecker(node) for node in set(nodes.values())}
        self._by_family = {family: checkers[node] for family, node in nodes.items()}

    async def check(self, source: str, runtime: str) -> None:
        """Return if the source compiles on a runtime of the catalogue; raises as ``SyntaxChecker.check`` does."""
        await self._by_family[RUNTIMES[runtime].family].check(source)

    async def close(self) -> None:
        """Let the sources in hand be judged, then end the processes."""
        for checker in set(self._by_family.values()):
            await checker.close()


def _verdict(line: bytes) -> InvalidCodeError | None:
    fault = orjson.loads(line)
    if fault is None:
        return None
    return InvalidCodeError(fault["message"], name=fault["name"], line=fault["line"], stack=fault["stack"])
