"""``./tidemill doctor``: what this machine can give functions, what is missing, what that means, and the fix."""

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

from services.invoker.pool.description import Finding
from services.invoker.pool.pool import FunctionCode, WorkerPool
from services.invoker.settings import engine_settings
from services.keyring import FILE_NAME, FIX, MEANING, where_from
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
        engine = pool.describe()
        return replace(engine, findings=(*engine.findings, _master_key(settings))).text()
    finally:
        await pool.close()


def _master_key(settings: Settings) -> Finding:
    own_file = settings.data.data_dir / FILE_NAME
    if found := where_from(settings.master_key, own_file):
        return Finding(topic="master key", value=found)
    return Finding(
        topic="master key",
        value=f"none yet: `up` will make {own_file}",
        missing="a master key for services on their own",
        meaning=f"there, {MEANING}",
        fix=FIX,
    )


async def _no_package(_code: FunctionCode) -> Path:
    raise StartFailedError("nothing is run while examining")
