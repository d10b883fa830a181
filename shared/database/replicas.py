"""
Which processes are alive, and what they say of themselves.

Each says so every few seconds, and its leases count only while it does.

An invoker's details are ``{"runtimes": {family: {"version", "sha256", "worker_sha256"}}, "server", "runner"}``: the
version its interpreter really has, and the SHA-256 of that interpreter and of our own files that run beside the
function; then digests of its sources (``services.measurements``). The families are ``node16``, ``node18``, ``node``
(the newest) and ``python``, those that can be used; where one Node.js stands in for another, its family tells the
version of the one that runs.
"""

from collections.abc import Mapping
from typing import Any

from shared.database.pool import Queries

_FORGOTTEN_AFTER = "1 day"


async def beat(db: Queries, replica_id: str, service: str, details: Mapping[str, Any] | None = None) -> None:
    """Say that a process is alive, and what there is to know of it; forget those not heard of for a day."""
    await db.execute(
        """
        INSERT INTO replicas (id, service, details) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET seen_at = now(), details = excluded.details
        """,
        replica_id,
        service,
        details or {},
    )
    await db.execute("DELETE FROM replicas WHERE seen_at < now() - $1::text::interval", _FORGOTTEN_AFTER)


async def alive(db: Queries, *, within_s: float = 15.0) -> list[str]:
    """Return the ids of the processes heard of lately, sorted."""
    rows = await db.fetch(
        "SELECT id FROM replicas WHERE seen_at > now() - make_interval(secs => $1) ORDER BY id", within_s
    )
    return [row["id"] for row in rows]


async def details_of(db: Queries, service: str, *, within_s: float = 15.0) -> list[dict[str, Any]]:
    """Return what the processes of a service that were heard of lately say of themselves, the newest first."""
    rows = await db.fetch(
        """
        SELECT details FROM replicas
        WHERE service = $1 AND seen_at > now() - make_interval(secs => $2) ORDER BY started_at DESC, id
        """,
        service,
        within_s,
    )
    return [row["details"] for row in rows]
