"""
How a package's own program is started: the file ``bootstrap``, a script or an executable, as on AWS Lambda.

In a sandbox with a root of its own the kernel finds everything where it belongs. Without one a script's shell and
a program's loader are looked up below the root first, which is what ``launch_line`` is for.
"""

from pathlib import Path

from services.invoker.sandbox.driver import RootFilesystem
from services.invoker.sandbox.elf import is_for_this_machine, loader_of

PROGRAM = "bootstrap"
_TASK_LIBRARIES = ("", "/lib")
_HEAD_BYTES = 256


def why_not_executable(program: Path) -> str:
    """
    Return why the kernel would not start a program, in its words; empty when it may.

    Asked beforehand because some of those who execute hand what the kernel refuses to a shell.
    """
    if not program.is_file():
        return "no such file or directory"
    with program.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return "" if head.startswith(b"#!") or is_for_this_machine(head) else "exec format error"


def launch_line(program: Path, task: str, shown: str, root: RootFilesystem) -> list[str]:
    """
    Return the command line of ``program`` in a sandbox without a root of its own.

    ``task`` is where the sandbox sees its directory, ``shown`` where it sees the root.
    """
    path = f"{task}/{program.name}"
    with program.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"#!"):
        words = head[2:].partition(b"\n")[0].decode("utf-8", "replace").split()
        if words and words[0] == "/usr/bin/env":
            words = [f"/usr/bin/{words[1]}", *words[2:]] if len(words) > 1 else words
        inside = root.path / words[0].lstrip("/") if words else None
        if inside is not None and inside.exists():
            return [*_through_loader(root, shown, f"{shown}{words[0]}"), *words[1:], path]
        return [path]
    if loader_of(program) is not None:
        return _through_loader(root, shown, path, *(f"{task}{each}" for each in _TASK_LIBRARIES))
    return [path]


def _through_loader(root: RootFilesystem, shown: str, program: str, *libraries: str) -> list[str]:
    search = ":".join((f"{shown}{root.library_directory}", *libraries))
    return [f"{shown}{root.loader}", "--library-path", search, "--argv0", program, program]
