import shutil
import subprocess
from pathlib import Path

from services import measurements

ROOT = Path(measurements.__file__).resolve().parents[1]
HEAD = measurements.__doc__ or ""


def by_hand(command: str) -> str:
    """Run the command that the module tells everybody to run."""
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()[0]


def test_anybody_can_measure_the_same_with_the_tools_of_any_linux() -> None:
    [command] = [line.strip() for line in HEAD.splitlines() if "sha256sum" in line]

    assert measurements.server() == by_hand(command)
    assert measurements.runner() == by_hand(command.replace("services shared", "services/invoker/runtimes"))


def test_a_changed_a_moved_and_a_new_file_are_seen_and_byte_code_is_not(tmp_path: Path) -> None:
    def measured() -> str:
        return measurements.digest_of(tmp_path, ["a"])

    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one.py").write_text("1")
    first = measured()
    (tmp_path / "a" / "one.py").write_text("2")
    changed = measured()
    (tmp_path / "a" / "one.py").rename(tmp_path / "a" / "b" / "one.py")
    moved = measured()
    (tmp_path / "a" / "two.js").write_text("")
    added = measured()

    assert len({first, changed, moved, added}) == 4
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "one.pyc").write_text("x")
    (tmp_path / "other.py").write_text("x")
    assert measured() == added
    shutil.copytree(tmp_path / "a", tmp_path / "again" / "a")
    assert measurements.digest_of(tmp_path / "again", ["a"]) == added
