"""Fixtures of all tiers: the real backends, each started once a session and only if a test asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import backends
from tests.support.backends import Broker, DatabaseServer
from tests.support.neo_chain import NeoChain, neo_chain

# How long an example takes says how busy the machine is, not whether the rule holds; a test has a time limit anyway.
settings.register_profile("tidemill", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidemill")


ALONE = {"tests/integration/engine/test_network.py": "network", "tests/e2e/test_network.py": "network"}
"""Files that may not run beside each other, by what they share."""

LONG = ("tests/e2e/", "tests/faults/", "tests/docs/", "tests/integration/test_launcher.py", "tests/integration/engine/")
"""Where much of the time goes. Begun last, one of them would keep one process busy after the others have ended."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process when there are several: they share what the file has started."""
    for item in items:
        path = _path(item)
        item.add_marker(pytest.mark.xdist_group(ALONE.get(path, path)))


class LongFirst:
    """Has the long files begun first when there are several processes; the order is random otherwise."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: not _path(item).startswith(LONG))


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(LongFirst())


def _path(item: pytest.Item) -> str:
    return item.path.relative_to(item.config.rootpath).as_posix()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The session's RabbitMQ."""
    with backends.broker() as found:
        yield found


@pytest.fixture
def amqp_url(broker: Broker) -> Iterator[str]:
    """A virtual host of this test's own, removed with its queues."""
    with broker.virtual_host() as url:
        yield url


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """The session's PostgreSQL."""
    with backends.database_server() as server:
        yield server


@pytest.fixture
def database_url(database_server: DatabaseServer) -> Iterator[str]:
    """A database of this test's own, with the current schema and the partitions of these days."""
    url = database_server.create()
    yield url
    database_server.drop(url)


@pytest.fixture
def bare_database_url(database_server: DatabaseServer) -> Iterator[str]:
    """A database of this test's own, with the current schema and no partition: those are the platform's to make."""
    url = database_server.create(days=False)
    yield url
    database_server.drop(url)


@pytest.fixture
def empty_database_url(database_server: DatabaseServer) -> Iterator[str]:
    """A database of this test's own, with nothing in it."""
    url = database_server.create(migrated=False)
    yield url
    database_server.drop(url)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A temporary directory other users may pass through; pytest's own are closed."""
    with backends.open_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def chain() -> Iterator[NeoChain]:
    """The session's Neo N3 chain."""
    with neo_chain() as running:
        yield running
