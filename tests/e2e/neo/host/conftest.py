"""One platform with everything configured, for all tests of this directory."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.neo.host.outside import Outside
from tests.support.backends import open_directory
from tests.support.neo_chain import NeoChain
from tests.support.platform import Platform, all_in_one
from tests.support.web import Authority


@pytest.fixture(scope="session")
def outside(chain: NeoChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with ExitStack() as stack:
        yield Outside(chain, Authority(tmp_path_factory.mktemp("authority")), stack)


@pytest.fixture(scope="session")
def platform(outside: Outside) -> Iterator[Platform]:
    """Take the place of the platform that nothing is configured on."""
    with open_directory() as directory, all_in_one(Path(directory), outside.settings()) as running:
        yield running


@pytest.fixture(params=["node16", "node18"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)
