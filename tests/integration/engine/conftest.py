"""Engines for the tests: one directory of root file systems for the whole session, one pool a test."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from services.invoker.pool.pool import FunctionCode
from tests.integration.engine.engine import Engine, make_directory, running_engine


@pytest.fixture(scope="session")
def engine_directory() -> Iterator[Path]:
    """Return where this session's engines keep their files."""
    directory = make_directory("tidemill-engine-")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
async def engine(engine_directory: Path) -> AsyncIterator[Engine]:
    """Return a running engine with one Node.js stem cell."""
    async with running_engine(engine_directory) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_engine(engine_directory: Path) -> AsyncIterator[Engine]:
    """Return an engine for tests that only call functions, with stem cells of both runtimes."""
    async with running_engine(
        engine_directory, stem_cells_node=2, stem_cells_node16=1, stem_cells_node18=2, stem_cells_python=2
    ) as running:
        yield running


@pytest.fixture(scope="session", params=["node16", "node18"])
def neo(request: pytest.FixtureRequest, shared_engine: Engine) -> Callable[..., FunctionCode]:
    """Give what deploys a Neo function on the shared engine: once for each runtime."""
    return partial(shared_engine.deploy, runtime=request.param, convention="neo")
