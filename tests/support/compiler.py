"""
A compiled program for the runtimes ``provided.*``: ``programs/bootstrap.c``, by whatever C compiler is here.

The program needs nothing but a compiler: Debian's ``tcc``, a third of a megabyte, is enough, and ``./tidemill
test`` installs it where there is none.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

_SOURCE = Path(__file__).parent / "programs" / "bootstrap.c"
_COMPILERS = ("cc", "gcc", "clang", "tcc")


@functools.cache
def compiled_bootstrap() -> bytes:
    """Return a static executable for this machine."""
    compiler = next((each for each in _COMPILERS if shutil.which(each)), None)
    if compiler is None:
        raise RuntimeError("the tests need a C compiler: install tcc (`./tidemill test` does it as root on Debian)")
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "bootstrap"
        command = [compiler, "-static", "-nostdlib", "-fno-builtin", "-o", str(made), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return made.read_bytes()
