"""Who must leave a control group of version 2 before it can have limited children."""

import os
from pathlib import Path

import pytest

from services.invoker.sandbox.cgroup import in_the_way


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """Return what the kernel shows of a group that is not the root of the hierarchy."""
    (tmp_path / "cgroup.type").write_text("domain\n")
    (tmp_path / "cgroup.procs").write_text("1\n7\n12\n")
    return tmp_path


def test_in_a_container_everything_that_runs_beside_the_invoker_leaves_its_root(group: Path) -> None:
    assert in_the_way(group, "/") == [1, 7, 12]


def test_elsewhere_the_invoker_alone_does(group: Path) -> None:
    assert in_the_way(group, "/system.slice/tidemill.service") == [os.getpid()]


def test_nobody_leaves_the_root_of_the_hierarchy(group: Path) -> None:
    (group / "cgroup.type").unlink()

    assert in_the_way(group, "/") == []
