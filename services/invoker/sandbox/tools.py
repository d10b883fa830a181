"""
The tools of this machine that programs in a root of runtime family ``provided`` may start.

The set is about that of Amazon's own image: a shell, ``curl`` and the small tools that a shell script cannot do
without. What this machine does not have is not there; a compiled program needs none of it.
"""

import shutil
from pathlib import Path

SHELLS = ("bash", "sh")
_TOOLS = (
    *SHELLS,
    *("curl", "env", "grep", "sed", "["),
    *("base64", "basename", "cat", "chmod", "cp", "cut", "date", "dirname", "echo", "expr", "false", "head", "id"),
    *("ln", "ls", "md5sum", "mkdir", "mktemp", "mv", "nproc", "od", "printf", "pwd", "readlink", "realpath", "rm"),
    *("rmdir", "seq", "sha1sum", "sha256sum", "sleep", "sort", "stat", "tail", "tee", "test", "touch", "tr"),
    *("true", "uname", "uniq", "wc"),
)
_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_tools() -> dict[str, Path]:
    """Return the tools that are here, by name, each as the file behind its links."""
    found = {name: shutil.which(name, path=_PLACES) for name in _TOOLS}
    return {name: Path(path).resolve() for name, path in found.items() if path is not None}
