"""
Root file systems: the read-only directory each runtime runs in, made once and kept.

A root holds the interpreter, the shared libraries it needs (asked of its own dynamic loader), its standard
library, our worker, ``/bin/sh``, and a minimal ``/etc``: nothing else of the host. It is named by a digest of
what it is made from, so another interpreter or another worker makes another root. Files are hard links where
the file system allows and everyone may read the original, copies elsewhere.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from secrets import token_hex

from services.invoker.pool.settings import EngineSettings, NetworkPolicy
from services.invoker.sandbox.driver import Interpreter, RootFilesystem
from services.invoker.sandbox.elf import loader_of
from services.invoker.sandbox.program import PROGRAM
from services.invoker.sandbox.tools import SHELLS, find_tools
from shared.domain.runtime import Family
from shared.process.node_programs import find_node
from shared.process.supervise import CannotStartError

_BUILDER = 4
"""Raised when this module makes roots in another way."""
_RUNTIMES = Path(__file__).resolve().parents[1] / "runtimes"
_MOUNT_POINTS = ("proc", "dev", "tmp", "var", "opt", "etc", "bin", "usr/bin", "usr/lib", "runtime")
# Loaded by name at run time, so no list of needed libraries shows them: name service, C++ for native modules.
_LOADED_LATE = (
    *("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6", "libresolv.so.2"),
    *("libnss_dns.so.2", "libnss_files.so.2", "libstdc++.so.6", "libgcc_s.so.1"),
)
_NOT_COPIED = frozenset(
    ("site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test", "tkinter", "turtledemo", "ensurepip")
)
_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_NAME_SERVER = {NetworkPolicy.NONE: "", NetworkPolicy.INTERNET: "nameserver 10.0.2.3\n"}
_COMMAND_S = 30.0
_ASK_PYTHON = (
    "import json, sys, sysconfig; print(json.dumps({'library': sysconfig.get_path('stdlib'), "
    "'name': 'python%d.%d' % sys.version_info[:2], 'version': sys.version}))"
)


class RootFilesystemError(CannotStartError):
    """A runtime's files cannot be gathered; the text says which, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Python:
    program: Path
    library: Path
    name: str
    version: str


def build_roots(settings: EngineSettings) -> tuple[dict[str, RootFilesystem], dict[str, str]]:
    """
    Return the roots of the runtimes that this machine has, and each family with what is wrong with it, if anything.

    Slow the first time (a second or so), quick once they are made. Reads the files into the page cache, on the
    account of this process and not of the first worker.

    Raises:
        RootFilesystemError: none of the runtimes can be made.
    """
    problems: dict[str, str] = {}
    roots: dict[str, RootFilesystem] = {}
    for family in Family:
        try:
            roots[family] = _build(settings, family)
        except (RootFilesystemError, OSError) as error:
            problems[family] = str(error)
        else:
            problems[family] = ""
    if not roots:
        raise RootFilesystemError("no runtime can be used: " + "; ".join(problems.values()))
    for root in roots.values():
        _warm(root)
    return roots, problems


def _build(settings: EngineSettings, family: Family) -> RootFilesystem:
    match family:
        case Family.PYTHON:
            return _build_python(settings)
        case Family.PROVIDED:
            return _build_provided(settings)
        case _:
            return _build_node(settings, family)


def libraries_of(program: Path) -> list[Path]:
    """Return the shared libraries a program or library needs, as its dynamic loader finds them."""
    loader = loader_of(program) or loader_of(Path(sys.executable).resolve())
    if loader is None:
        return []
    done = subprocess.run(  # a file's own list of needs; nothing of it is executed
        [str(loader), "--list", str(program)], capture_output=True, text=True, timeout=_COMMAND_S, check=False, env={}
    )
    found: list[Path] = []
    for line in done.stdout.splitlines():
        _, arrow, target = line.partition(" => ")
        path = (target if arrow else "").rpartition(" (")[0].strip()
        if arrow and not path.startswith("/"):
            raise RootFilesystemError(f"{program} needs {line.strip()}")
        if path:
            found.append(Path(path))
    return found


def _build_node(settings: EngineSettings, family: Family) -> RootFilesystem:
    given = {Family.NODE16: settings.node16, Family.NODE18: settings.node18}.get(family, settings.node)
    found = given or find_node(family)
    if found is None:
        raise RootFilesystemError("there is none")
    program = found.resolve()
    if loader_of(program) is None:
        raise RootFilesystemError(f"{program} is not a 64-bit dynamically linked program")
    worker = sorted((_RUNTIMES / "node").glob("*.js"))
    name = _name(family, settings, [program, *worker])
    command = ("/usr/bin/node", "/runtime/worker.js")
    files = [(program, "usr/bin/node"), *_at_runtime(worker)]
    interpreter = _interpreter(program, _output(program, "--version").strip().removeprefix("v"), worker)
    return _root(settings, family, name, program, command, files, interpreter)


def _build_python(settings: EngineSettings) -> RootFilesystem:
    python = _ask_python(settings)
    worker = sorted(path for path in (_RUNTIMES / "python").glob("*.py") if path.name != "__init__.py")
    name = _name("python", settings, [python.program, *worker], python.version)
    command = ("/usr/bin/python3", "-I", "-S", "/runtime/worker.py")
    files = [(python.program, "usr/bin/python3"), *_at_runtime(worker)]
    interpreter = _interpreter(python.program, python.version.split()[0], worker)
    add = partial(_add_python, python=python)
    return _root(settings, "python", name, python.program, command, files, interpreter, add)


def _build_provided(settings: EngineSettings) -> RootFilesystem:
    """Gather what a program of an author's own may use: shared libraries, and some tools of this machine."""
    tools = find_tools()
    shell = next((tools[name] for name in SHELLS if name in tools), None)
    if shell is None or loader_of(shell) is None:
        raise RootFilesystemError("there is no shell that is a 64-bit dynamically linked program")
    name = _name(Family.PROVIDED, settings, tools.values(), " ".join(tools))
    files = [(path, f"usr/bin/{tool}") for tool, path in tools.items()]
    add = partial(_add_tools, tools=tools.values())
    return _root(settings, Family.PROVIDED, name, shell, (f"/var/task/{PROGRAM}",), files, None, add)


def _interpreter(program: Path, version: str, worker: Iterable[Path]) -> Interpreter:
    known = program.stat()
    sha256 = _sha256(program, (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns))
    digest = hashlib.sha256()
    for path in worker:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return Interpreter(version=version, sha256=sha256, worker_sha256=digest.hexdigest())


@lru_cache(maxsize=16)
def _sha256(program: Path, _identity: tuple[int, ...]) -> str:
    """Hash a program, once in the life of this process as long as its file is the same: they have 100 MB each."""
    with program.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _output(program: Path, *arguments: str) -> str:
    """Return what an interpreter prints."""
    done = subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, timeout=_COMMAND_S, check=False, env={}
    )
    if done.returncode != 0:
        raise RootFilesystemError(f"{program} does not run: {done.stderr.strip()}")
    return done.stdout


def _ask_python(settings: EngineSettings) -> _Python:
    if settings.python is None:
        return _Python(
            program=Path(sys.executable).resolve(),
            library=Path(sysconfig.get_path("stdlib")),
            name=f"python{sys.version_info.major}.{sys.version_info.minor}",
            version=sys.version,
        )
    program = settings.python
    told = json.loads(_output(program, "-I", "-S", "-c", _ASK_PYTHON))
    return _Python(program=program.resolve(), library=Path(told["library"]), name=told["name"], version=told["version"])


def _at_runtime(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    return ((path, f"runtime/{path.name}") for path in files)


def _name(runtime: str, settings: EngineSettings, files: Iterable[Path], version: str = "") -> str:
    """Name a root after what goes into it: programs by identity, our own small files by content."""
    digest = hashlib.sha256(f"{_BUILDER} {settings.network} {version}".encode())
    for path in files:
        if path.is_relative_to(_RUNTIMES):
            digest.update(path.read_bytes())
        else:
            known = path.stat()
            digest.update(f"{path} {known.st_size} {known.st_mtime_ns}".encode())
    return f"{runtime}-{digest.hexdigest()[:16]}"


def _root(
    settings: EngineSettings,
    runtime: str,
    name: str,
    program: Path,
    command: tuple[str, ...],
    files: list[tuple[Path, str]],
    interpreter: Interpreter | None,
    add: Callable[[Path, Path], None] | None = None,
) -> RootFilesystem:
    """Return a root by its name; make it in a directory beside and rename it into place if it is not there."""
    kept = settings.directory / "rootfs"
    path = kept / name
    loader = loader_of(program)
    assert loader is not None
    system = _library_directory(path)
    if system is None:
        libraries = libraries_of(program)
        system = next((each.parent for each in libraries if each.name.startswith("libc.so")), Path("/lib"))
        kept.mkdir(parents=True, exist_ok=True)
        making = kept / f".{name}-{token_hex(4)}"
        try:
            _fill(making, loader, system, libraries, files)
            if add is not None:
                add(making, system)
            _add_shell(making, system)
            _add_etc(making, settings.network)
            _publish(making, path)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return RootFilesystem(
        runtime=runtime,
        path=path,
        loader=str(loader),
        library_directory=str(system),
        command=command,
        trial=("/bin/sh", "-c", ":") if interpreter is None else (command[0], "--version"),
        interpreter=interpreter,
    )


def _library_directory(root: Path) -> Path | None:
    """Return where a finished root keeps its libraries, None when there is no such root."""
    places = ("lib*", "lib/*", "usr/lib*", "usr/lib/*")
    found = next((each for place_for in places for each in root.glob(f"{place_for}/libc.so*")), None)
    return None if found is None else Path("/") / found.parent.relative_to(root)


def _publish(making: Path, path: Path) -> None:
    for directory, _, _ in os.walk(making):
        Path(directory).chmod(0o755)  # whatever the umask was
    try:
        making.rename(path)
    except OSError:
        if not path.exists():  # another invoker of this machine may have been quicker
            raise


def _fill(root: Path, loader: Path, system: Path, libraries: Iterable[Path], files: Iterable[tuple[Path, str]]) -> None:
    for name in _MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    place(loader.resolve(), root / str(loader).lstrip("/"))
    for library in libraries:
        place(library.resolve(), root / str(system / library.name).lstrip("/"))
    for name in _LOADED_LATE:
        if (system / name).exists():
            place((system / name).resolve(), root / str(system / name).lstrip("/"))
    for source, target in files:
        place(source, root / target)


def _add_python(root: Path, system: Path, python: _Python) -> None:
    target = root / "usr/lib" / python.name
    for directory, names, files in os.walk(python.library):
        here = Path(directory)
        names[:] = [name for name in names if name not in _NOT_COPIED and not name.startswith("config-")]
        for name in files:
            place(here / name, target / (here / name).relative_to(python.library))
    for module in (target / "lib-dynload").glob("*.so"):
        try:
            needed = libraries_of(module)
        except RootFilesystemError:
            module.unlink()  # it could not be imported on this machine either
            continue
        for library in needed:
            place(library.resolve(), root / str(system / library.name).lstrip("/"))
    (root / "usr/bin/python").symlink_to("python3")
    _add_zones(root)


def _add_zones(root: Path) -> None:
    zones = Path("/usr/share/zoneinfo")
    if zones.is_dir():
        shutil.copytree(zones, root / "usr/share/zoneinfo", symlinks=True, copy_function=_place_text)


def _add_tools(root: Path, system: Path, tools: Iterable[Path]) -> None:
    """Add what tools need, and show them in ``/bin`` too, where scripts look for their shell."""
    for tool in (root / "usr/bin").iterdir():
        (root / "bin" / tool.name).symlink_to(f"../usr/bin/{tool.name}")
    for library in {each for tool in tools for each in libraries_of(tool)}:
        place(library.resolve(), root / str(system / library.name).lstrip("/"))
    _add_zones(root)


def _add_shell(root: Path, system: Path) -> None:
    """Many programs start others through ``/bin/sh``; it is the one tool of the host that is shown."""
    shell = Path("/bin/sh")
    if not shell.exists() or (root / "bin/sh").exists():
        return
    place(shell.resolve(), root / "bin/sh")
    for library in libraries_of(shell.resolve()):
        place(library.resolve(), root / str(system / library.name).lstrip("/"))


def _add_etc(root: Path, network: NetworkPolicy) -> None:
    etc = root / "etc"
    name_server = _NAME_SERVER.get(network)
    texts = {
        "passwd": "root:x:0:0:root:/:/bin/sh\nsandbox:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        "group": "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "ssl/openssl.cnf": "",
        "resolv.conf": Path("/etc/resolv.conf").read_text("utf-8") if name_server is None else name_server,
    }
    (etc / "ssl").mkdir()
    for name, text in texts.items():
        (etc / name).write_text(text, "utf-8")
        (etc / name).chmod(0o644)
    certificates = next((Path(each) for each in _CERTIFICATES if Path(each).exists()), None)
    if certificates is not None:
        for place_for in ("ssl/certs/ca-certificates.crt", "ssl/cert.pem"):
            place(certificates.resolve(), etc / place_for)


def place(source: Path, target: Path) -> None:
    """
    Put a regular file at ``target`` for everyone to read: a hard link where that works, else a copy.

    A link shares the mode of its original, so an original that others cannot read is copied.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = source.stat().st_mode
    if mode & stat.S_IROTH and not mode & (stat.S_ISUID | stat.S_ISGID):
        try:
            target.hardlink_to(source)
        except OSError:
            pass  # another file system, too many links, or a kernel that protects links: copy
        else:
            return
    shutil.copy2(source, target)
    target.chmod(0o555 if mode & stat.S_IXUSR else 0o444)


def _place_text(source: str, target: str) -> str:
    place(Path(source), Path(target))
    return target


def _warm(root: RootFilesystem) -> None:
    """Read the interpreter and its libraries: their pages are then not charged to a worker's small cgroup."""
    inside = root.path / root.library_directory.lstrip("/")
    for path in (root.path / root.trial[0].lstrip("/"), *inside.glob("*.so*")):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
