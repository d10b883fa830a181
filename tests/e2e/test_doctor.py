"""``./tidemill doctor``: what this machine gives functions, and what to do about what it does not."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from services.invoker.pool.settings import SandboxLevel
from shared.crypto.master_keys import new_master_key
from tests.support.platform import ROOT, spawn

TOPICS = ("sandbox", "cgroup", "network", "user", "runtimes", "master key")
BROKEN = {"TIDEMILL_BWRAP": "/bin/false"}
NODES = ("TIDEMILL_NODE", "TIDEMILL_NODE16", "TIDEMILL_NODE18")
# All of this machine below a directory that is no mount point: what a plain chroot gives.
CHROOT = """
set -e
root=$1; shift
for each in /*; do
    if [ -L "$each" ]; then cp -P "$each" "$root"
    elif [ -d "$each" ]; then mkdir "$root$each"; mount --rbind "$each" "$root$each"; fi
done
exec chroot "$root" env -C "$PWD" "$@"
"""
# Already further back than sandboxes are put, and with no right to come forward: under `nice`, in a best-effort pod.
HELD_BACK = (
    *("nice", "-n", "15", "choom", "-n", "950", "--"),
    *("setpriv", "--inh-caps=-sys_nice,-sys_resource", "--bounding-set=-sys_nice,-sys_resource"),
)

Findings = dict[str, dict[str, str]]


def doctor(directory: Path, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """Run it on a data directory of its own; return its exit code and all it said."""
    process = spawn("doctor", ["services", "doctor", "--data-dir", str(directory / "data")], environ or {}, directory)
    return process.popen.wait(90), process.log_text()


def doctor_under(wrapper: Sequence[str], data: Path) -> subprocess.CompletedProcess[str]:
    """Run it as the last words of another command; with one runtime, which is enough."""
    return subprocess.run(
        [*wrapper, sys.executable, "-m", "services", "doctor", "--data-dir", str(data)],
        cwd=ROOT,
        env={"PATH": f"{os.defpath}:/usr/sbin:/sbin"} | dict.fromkeys(NODES, "/nowhere"),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def doctor_in_a_chroot(directory: Path, data: Path) -> subprocess.CompletedProcess[str]:
    """Run it in a chroot made in ``directory``, which every user may enter."""
    root = directory / "root"
    root.mkdir()
    root.chmod(0o755)
    return doctor_under(["unshare", "--mount", "sh", "-c", CHROOT, "sh", str(root)], data)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Return a directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="tidemill-", dir="/var/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def read_findings(text: str) -> Findings:
    """Return each topic with its value and, where something is missing, what, what that means, and the fix."""
    findings: Findings = {}
    topic = ""
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        if line.startswith("  "):
            findings[topic][name.strip()] = value
        else:
            topic = name
            findings[topic] = {"value": value}
    return findings


def test_it_says_what_functions_get_here_topic_by_topic(tmp_path: Path) -> None:
    code, said = doctor(tmp_path)

    assert code == 0, said
    findings = read_findings(said)
    assert tuple(findings) == TOPICS
    assert findings["sandbox"]["value"] in set(SandboxLevel)
    assert re.fullmatch(
        r"node \d+\.\d+\.\d+, node16 16\.20\.2, node18 18\.20\.8, python 3\.\d+\.\d+, provided",
        findings["runtimes"]["value"],
    )
    assert all(finding["value"] for finding in findings.values())
    for topic, finding in findings.items():
        assert set(finding) in ({"value"}, {"value", "missing", "means", "fix"}), topic


def test_a_version_of_node_that_is_not_there_is_told_with_what_runs_instead(tmp_path: Path) -> None:
    code, said = doctor(tmp_path, {"TIDEMILL_NODE16": "/nowhere/node"})

    assert code == 0, said
    runtimes = read_findings(said)["runtimes"]
    assert "node16" not in runtimes["value"]
    assert runtimes["missing"].startswith("node16: ")
    assert re.fullmatch(r"functions of node16 run on \d+\.\d+\.\d+", runtimes["means"])
    assert "TIDEMILL_NODE16" in runtimes["fix"]


def test_a_lower_rung_is_told_with_what_is_missing_what_that_means_and_the_fix(tmp_path: Path) -> None:
    code, said = doctor(tmp_path, BROKEN)

    assert code == 0, said
    findings = read_findings(said)
    sandbox = findings["sandbox"]
    assert sandbox["value"] in (SandboxLevel.LANDLOCK, SandboxLevel.NONE)
    assert sandbox["missing"].startswith("full: bubblewrap ended before it made a sandbox")
    assert "functions" in sandbox["means"]
    assert "TIDEMILL_BWRAP" in sandbox["fix"]
    network = findings["network"]
    assert (network["value"], network["fix"]) == ("none", "mend the sandbox")
    assert network["missing"].startswith("policy internet: ")
    assert network["means"] == "functions cannot reach the internet"


def test_a_machine_below_the_demanded_level_fails_in_one_clear_line(tmp_path: Path) -> None:
    code, said = doctor(tmp_path, {**BROKEN, "TIDEMILL_MIN_SANDBOX": "full"})

    assert code == 1
    [line] = said.splitlines()
    assert line.startswith("tidemill: cannot start: no sandbox of level full or better works on this machine: full: ")
    assert "bubblewrap ended before it made a sandbox" in line


def test_it_says_which_master_key_there_is_and_what_it_means_to_have_none(tmp_path: Path) -> None:
    without = read_findings(doctor(tmp_path)[1])["master key"]
    key = new_master_key()
    code, said = doctor(tmp_path, {"TIDEMILL_MASTER_KEY": key})

    assert without["means"].startswith("there, secrets can be neither kept nor given to functions")
    assert "TIDEMILL_MASTER_KEY" in without["fix"]
    assert code == 0
    assert read_findings(said)["master key"]["value"].endswith("from TIDEMILL_MASTER_KEY")
    assert key not in said


def test_in_a_chroot_the_forbidden_namespaces_are_told_with_the_way_out(open_directory: Path) -> None:
    done = doctor_in_a_chroot(open_directory, open_directory / "data")

    assert done.returncode == 0, done.stderr
    sandbox = read_findings(done.stdout)["sandbox"]
    assert sandbox["value"] == SandboxLevel.LANDLOCK
    assert "No permissions to creat" in sandbox["missing"]
    assert "chroot" in sandbox["fix"]


def test_a_directory_that_cannot_be_shown_to_sandboxes_fails_in_one_clear_line(open_directory: Path) -> None:
    closed = open_directory / "closed"
    closed.mkdir(mode=0o700)

    done = doctor_in_a_chroot(open_directory, closed / "data")

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("tidemill: cannot start: sandboxes run under other users, who may not enter a directory")
    assert line.endswith("choose another with --data-dir or TIDEMILL_DATA_DIR")
    assert not list((closed / "data").rglob("run-*"))


def test_an_invoker_that_is_held_back_has_the_best_sandbox_all_the_same(tmp_path: Path) -> None:
    done = doctor_under(HELD_BACK, tmp_path / "data")

    assert done.returncode == 0, done.stderr
    assert read_findings(done.stdout)["sandbox"] == {"value": SandboxLevel.FULL}
