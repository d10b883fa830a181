"""
Pages of the documentation as programs: their blocks, a shell or a Node.js that runs them, and answers that are alike.

An answer shown on a page is like the real one when it has the same shape and the same values, but for what is
different each time: ids, keys, times, hashes, versions, durations. Of a stack the page shows the first lines.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually_sync

_BLOCK = re.compile(r"^```(sh|javascript)\n(.*?)^```$(?:\n\n```(?:json|text)\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
_DIFFERENT = (
    (re.compile(r"\b(func|sec|key)_[a-z0-9]{10}\b"), r"\1_ID"),
    (re.compile(r"\bexec_[0-9a-f]{24}\b"), "exec_ID"),
    (re.compile(r"\bsgn_[0-9a-f]{16}\b"), "sgn_ID"),
    (re.compile(r"\bsl_[0-9a-f]{8,64}\b"), "sl_KEY"),
    (re.compile(r"\bsk_[0-9a-f]{10,48}\b"), "sk_KEY"),
    (re.compile(r"\beyJ[\w.…-]+"), "JWT"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{24}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "TOKEN"),
    (re.compile(r"\b[0-9a-f]{64,128}\b"), "HEX"),
    (re.compile(r"\b[0-9a-z]{32}\.lambda-url\b"), "ID.lambda-url"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "MOMENT"),
    (re.compile(r"\d+\.\d+\.\d+"), "VERSION"),
)
_MEASURED = {"duration", "averageExecutionTime", "durationMs", "creation_timestamp", "update_timestamp"}
_BLOCKS = Path(__file__).with_name("blocks.js")
_MARK = "=== the block ended with"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code on a page, and the answer shown right below it, if there is one."""

    language: str
    code: str
    answer: str | None

    @property
    def only_reads(self) -> bool:
        """Tell whether asking again does nothing but ask again."""
        return self.language == "sh" and not re.search(r" -X (?!GET)|/invoke|/tasks/v1/api/|curl [^|]* -d", self.code)


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page that can be run, in order."""
    return [Block(*found.groups()) for found in _BLOCK.finditer(page.read_text("utf-8"))]


def alike(shown: Any, real: Any, name: str = "") -> bool:
    """Tell whether an answer is like the one shown."""
    if isinstance(shown, dict) and isinstance(real, dict):
        return shown.keys() == real.keys() and all(alike(shown[key], real[key], key) for key in shown)
    if isinstance(shown, list) and isinstance(real, list):
        return len(shown) == len(real) and all(map(alike, shown, real, [name] * len(shown)))
    if isinstance(shown, str) and isinstance(real, str):
        told = _same(real)
        return told.startswith(_same(shown)) if name == "stack" else told == _same(shown)
    if name in _MEASURED:
        return isinstance(shown, int | float) and isinstance(real, int | float)
    return type(shown) is type(real) and bool(shown == real)


def read(answer: str) -> Any:
    """Return an answer as data; one that is no JSON as its text."""
    try:
        return json.loads(answer)
    except ValueError:
        return answer.strip()


def _same(text: str) -> str:
    for pattern, word in _DIFFERENT:
        text = pattern.sub(word, text)
    return text


class Shell:
    """One shell, or one Node.js, for a whole page: what a block sets is there for the next."""

    def __init__(self, process: "subprocess.Popen[str]", command: Callable[[str], str]) -> None:
        self._process = process
        self._command = command

    def run(self, code: str) -> str:
        """Run a block; return what it printed, fail when it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(self._command(code))
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line.startswith(_MARK):
                assert line.split()[-1] == "0", f"{code}\n{''.join(printed)}"
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"the shell ended in\n{code}\n{''.join(printed)}")


@contextmanager
def shell(directory: Path, environ: Mapping[str, str]) -> Iterator[Shell]:
    """Give a shell that works in a directory."""
    with _running(["bash", "-uo", "pipefail"], directory, environ) as process:
        yield Shell(process, lambda code: f"{code}\nended=$?; echo; echo '{_MARK}' $ended\n")


@contextmanager
def javascript(node: Path, directory: Path, environ: Mapping[str, str]) -> Iterator[Shell]:
    """Give a Node.js that works in a directory."""
    with _running([str(node), str(_BLOCKS)], directory, environ) as process:
        yield Shell(process, lambda code: f"{json.dumps(code)}\n")


@contextmanager
def _running(command: Sequence[str], directory: Path, environ: Mapping[str, str]) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        command,
        cwd=directory,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def check(block: Block, code: str, terminal: Shell) -> None:
    """Run a block's code until it answers what the page shows; once, if it changes anything."""

    def answered() -> bool:
        real = terminal.run(code)
        assert block.answer is None or alike(read(block.answer), read(real)), f"{code}\n{block.answer}\n{real}"
        return True

    if block.only_reads:
        eventually_sync(answered, within_s=10)
    else:
        answered()
