"""How PostgreSQL carried out what was asked of it: the plan of every statement, with the rows it really saw."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from shared.database.pool import Connection, Database
from shared.process.embedded_postgres import running_dsn

Asks = Mapping[str, Callable[[Connection], Awaitable[object]]]
"""What is asked, by its title."""


async def plans(directory: Path, asks: Asks) -> str:
    """Ask each of these of the database of the all-in-one in ``directory``; return the plans below their titles."""
    dsn = running_dsn(directory / "postgres")
    assert dsn is not None
    told: list[str] = []
    db = await Database.connect(dsn, max_size=1)
    try:
        async with db.transaction() as connection:
            await connection.execute("LOAD 'auto_explain'; SET LOCAL auto_explain.log_min_duration = 0")
            await connection.execute("SET LOCAL auto_explain.log_analyze = on; SET LOCAL client_min_messages = log")

            def hear(_: object, message: Any) -> None:
                told.append(str(message.message))

            connection.add_log_listener(hear)
            for title, ask in asks.items():
                told.append(f"\n## {title}\n")
                await ask(connection)
                # A plan is told when its portal is closed, which the next statement does; it is heard a turn later.
                await connection.execute("SET LOCAL client_min_messages = log")
                await asyncio.sleep(0)
            connection.remove_log_listener(hear)
    finally:
        await db.close()
    return "\n".join(told)
