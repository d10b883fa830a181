"""``./tidemill doctor``: what this machine can give functions, what is missing, what that means, and the fix."""

import argparse
import asyncio
from pathlib import Path

from services.invoker.pool.pool import FunctionCode, WorkerPool
from services.invoker.settings import engine_settings
from shared.domain.errors import StartFailedError
from shared.process.settings import Settings


def main(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Try everything for real and say what came of it; fail when functions cannot be run at all."""
    print(asyncio.run(_examine(settings)))
    return 0


async def _examine(settings: Settings) -> str:
    pool = WorkerPool(engine_settings(settings), _no_package)
    await pool.start()
    try:
        return pool.describe().text()
    finally:
        await pool.close()


async def _no_package(_code: FunctionCode) -> Path:
    raise StartFailedError("nothing is run while examining")
