"""The launcher, in a directory of its own with empty locks, so that nothing is downloaded."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.files import ROOT

SERVICES = """
import os, sys
print(sys.argv[1:], os.environ.get("TIDEMILL_DATA_DIR"), os.environ.get("PYTHONPATH"))
"""

NODE_IS_THERE = "import pathlib, sys; (pathlib.Path(sys.prefix) / 'node').mkdir(exist_ok=True)"


def write_checkout(directory: Path) -> Path:
    (directory / "requirements" / "node").mkdir(parents=True)
    (directory / "services").mkdir()
    shutil.copy(ROOT / "tidemill", directory)
    for name in ("runtime", "test"):
        (directory / "requirements" / f"{name}.txt").write_text("# nothing\n")
    (directory / "requirements" / "node" / "package-lock.json").write_text("{}")
    (directory / "requirements" / "node" / "install.py").write_text(NODE_IS_THERE)
    (directory / "services" / "__main__.py").write_text(SERVICES)
    return directory


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clean checkout."""
    return write_checkout(tmp_path / "check out")


@pytest.fixture(scope="module")
def used_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose environment is made; only to be copied."""
    directory = write_checkout(tmp_path_factory.mktemp("used") / "check out")
    assert run(directory, "up")[0] == 0
    return directory


@pytest.fixture
def used(used_once: Path, tmp_path: Path) -> Path:
    """A checkout whose environment is made."""
    return shutil.copytree(used_once, tmp_path / "check out", symlinks=True)


def start(checkout: Path, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [checkout / "tidemill", *arguments],
        cwd=checkout.parent,
        env={"PATH": os.defpath, "HOME": str(checkout), "PYTHON": sys.executable, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(checkout: Path, *arguments: str, **environ: str) -> tuple[int, str, str]:
    with start(checkout, *arguments, **environ) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out.strip(), err


def test_the_first_use_makes_the_environment_and_the_second_only_uses_it(checkout: Path) -> None:
    first = run(checkout, "up", "--port", "0")
    second = run(checkout, "up", "--port", "0")

    assert first[:2] == (0, "['up', '--port', '0'] None None")
    assert "making .venv" in first[2]
    assert second == (0, first[1], "")


def test_asking_how_to_test_tests_nothing(checkout: Path) -> None:
    status, out, err = run(checkout, "test", "--help")

    assert (status, err) == (0, "")
    assert out.startswith("usage: ./tidemill test")
    assert not (checkout / ".venv").exists()


def test_a_changed_lock_is_installed(used: Path) -> None:
    (used / "requirements" / "runtime.txt").write_text("# nothing else\n")
    _, _, changed = run(used, "up")

    assert "installing" in changed
    assert "making" not in changed


def test_without_the_real_node_programs_it_goes_on_says_so_and_tries_again(used: Path) -> None:
    for name, text in (("install.py", "raise SystemExit('no network')"), ("package-lock.json", "{ }")):
        (used / "requirements" / "node" / name).write_text(text)

    for _ in range(2):
        code, out, err = run(used, "up")

        assert (code, out) == (0, "['up'] None None")
        assert err == (
            "no network\n"
            "tidemill: functions of node16 and node18 will run on the bundled Node.js; the next start tries again\n"
        )


def test_the_runtime_lock_is_part_of_the_test_lock(used: Path) -> None:
    """`./tidemill test` and then `up` installs once."""
    stamp = used / ".venv" / ".installed"
    runtime = stamp.read_text().strip()
    stamp.write_text(f"test 1 1\n{runtime}\n")

    assert run(used, "up")[2] == ""


def test_a_second_start_waits_for_the_first_and_installs_nothing_again(checkout: Path) -> None:
    with start(checkout, "up") as one, start(checkout, "up") as two:
        said = [process.communicate(timeout=60)[1] for process in (one, two)]

    assert (one.returncode, two.returncode) == (0, 0)
    assert ["making .venv" in text for text in said].count(True) == 1


def test_an_interrupted_first_use_is_taken_up_again(checkout: Path) -> None:
    with start(checkout, "up") as process:
        assert process.stderr is not None
        while "making .venv" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    assert run(checkout, "up")[0] == 0


def test_a_broken_environment_is_made_anew(used: Path) -> None:
    python = used / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")

    assert run(used, "up")[0] == 0


def test_relative_paths_are_meant_from_where_the_caller_stands(used: Path) -> None:
    here = used.parent
    _, out, _ = run(used, "up", "--data-dir", "my data", "--host=::1", "--data-dir=x", TIDEMILL_DATA_DIR="env")

    assert out == f"['up', '--data-dir', '{here}/my data', '--host=::1', '--data-dir={here}/x'] {here}/env None"


def test_files_to_verify_are_meant_from_where_the_caller_stands(used: Path) -> None:
    here = used.parent
    (used / "services" / "verify_receipt.py").write_text("import sys; print(sys.argv[1:])")

    options = ("--public-key", "00ff", "--code=x", "--attestation", "/y", "--help")
    _, out, _ = run(used, "verify-receipt", "a b.json", *options)

    assert out == f"['{here}/a b.json', '--public-key', '00ff', '--code={here}/x', '--attestation', '/y', '--help']"
    assert run(used, "verify-receipt", "-", "--attestation", "y")[1] == f"['-', '--attestation', '{here}/y']"


def test_a_strangers_python_path_is_not_followed(used: Path) -> None:
    assert run(used, "up", PYTHONPATH="/somewhere")[1].endswith("None None")


def bare_machine(checkout: Path, python: str) -> str:
    """Return a PATH with the tools every machine has, this as its ``python3``, and no package manager."""
    tools = checkout / "bin"
    tools.mkdir()
    for name in ("readlink", "dirname", "grep", "cksum", "id"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    (tools / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (tools / "python3").chmod(0o755)
    return str(tools)


def test_an_old_python_is_refused_in_one_line(checkout: Path) -> None:
    code, _, err = run(checkout, "up", PATH=bare_machine(checkout, "exit 1"), PYTHON="")

    assert code == 1
    assert err == (
        "tidemill: Python 3.11 or newer is needed and none was found "
        "(on Debian or Ubuntu: apt-get install python3 python3-venv)\n"
    )


def test_a_python_without_venv_is_refused_in_one_line_with_the_command(checkout: Path) -> None:
    as_debian_splits_it = f'case $2 in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"'
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    code, _, err = run(checkout, "up", PATH=bare_machine(checkout, as_debian_splits_it), PYTHON="")

    assert code == 1
    assert err.splitlines()[-1].endswith(f"python3 has no venv module; run: sudo apt-get install python{version}-venv")


def test_what_the_tests_need_of_the_system_is_named_in_one_line_with_the_command(checkout: Path) -> None:
    code, _, err = run(checkout, "test", PATH=bare_machine(checkout, f'exec {sys.executable} "$@"'), PYTHON="")

    assert code == 1
    assert err == (
        "tidemill: the tests need slirp4netns iproute2 curl tcc rabbitmq-server; "
        "run: sudo apt-get install --no-install-recommends slirp4netns iproute2 curl tcc rabbitmq-server\n"
    )


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 0), (["grind"], 1)])
def test_help_is_there_and_an_unknown_command_fails(checkout: Path, arguments: list[str], code: int) -> None:
    returned, out, err = run(checkout, *arguments)

    assert returned == code
    assert "usage: ./tidemill COMMAND" in out + err
