"""Which processes are alive: each says so every few seconds, and its leases count only while it does."""

from shared.database.pool import Queries

_FORGOTTEN_AFTER = "1 day"


async def beat(db: Queries, replica_id: str, service: str) -> None:
    """Say that a process is alive; forget those not heard of for a day."""
    await db.execute(
        """
        INSERT INTO replicas (id, service) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET seen_at = now()
        """,
        replica_id,
        service,
    )
    await db.execute("DELETE FROM replicas WHERE seen_at < now() - $1::text::interval", _FORGOTTEN_AFTER)


async def alive(db: Queries, *, within_s: float = 15.0) -> list[str]:
    """Return the ids of the processes heard of lately, sorted."""
    rows = await db.fetch(
        "SELECT id FROM replicas WHERE seen_at > now() - make_interval(secs => $1) ORDER BY id", within_s
    )
    return [row["id"] for row in rows]
