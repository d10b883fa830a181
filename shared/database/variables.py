"""
Environment variables of functions at rest: a set of them is one sealed value, bound to its id.

``functions`` and ``deployments`` seal what they write and open what they read, so nobody else knows: a ``VersionSpec``
has its variables in the clear, and the id of the set they came from. A set never changes; a configuration with the same
variables as before goes on with the same set, so reading them again costs nothing. A process whose database has no
``variables`` sees none, and passes sets on as they are.

Without a master key nothing can be sealed: then variables are kept as they are, as in versions from before there were
sets, until ``seal_plain`` finds them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from shared.crypto.envelope import Sealed
from shared.crypto.variables import Variables
from shared.database.pool import Database, Queries, Row
from shared.domain.errors import BrokenSealError
from shared.domain.function import VersionSpec
from shared.domain.ids import new_record_id

_BATCH = 100
_AT_ONCE = 8
"""How many sets of a list are opened together: with AWS KMS each is a trip."""

_log = structlog.get_logger(__name__)


async def sealed(db: Database, spec: VersionSpec) -> VersionSpec:
    """Return a configuration as it is written: its variables in a set, the one they came from if they are the same."""
    variables = db.variables
    if variables is None:
        return replace(spec, environment=dict(spec.environment))
    if not spec.environment:
        return replace(spec, environment={}, variables_id=None)
    if not variables.can_seal:
        _log.warning("variables_not_sealed", reason="there is no master key")
        return replace(spec, environment=dict(spec.environment), variables_id=None)
    if spec.variables_id is not None:
        known = await _open(db, variables, {spec.variables_id})
        if known[spec.variables_id] == spec.environment:
            return replace(spec, environment={})
    return replace(spec, environment={}, variables_id=await _keep(db, variables, spec.environment))


async def opened(db: Queries, specs: Sequence[VersionSpec]) -> list[VersionSpec]:
    """Return configurations as they were read, with their variables in the clear."""
    set_ids = {spec.variables_id for spec in specs if spec.variables_id is not None}
    if not set_ids or not isinstance(db, Database) or db.variables is None:
        return list(specs)
    known = await _open(db, db.variables, set_ids)
    return [
        spec if spec.variables_id is None else replace(spec, environment=known[spec.variables_id]) for spec in specs
    ]


async def seal_plain(db: Database) -> int:
    """Seal the variables of versions that have them in the clear, if there is a master key; return how many."""
    variables, done = db.variables, 0
    if variables is None or not variables.can_seal:
        return done
    while rows := await db.fetch(
        "SELECT id, environment FROM function_versions WHERE environment <> '{}' ORDER BY id LIMIT $1", _BATCH
    ):
        for row in rows:
            await db.execute(
                "UPDATE function_versions SET environment = '{}', variables_id = $2 WHERE id = $1",
                row["id"],
                await _keep(db, variables, row["environment"]),
            )
        done += len(rows)
    if done:
        _log.info("variables_sealed", versions=done)
    return done


async def forget_unused(db: Queries, keep_days: int, *, limit: int = 5_000) -> int:
    """
    Forget up to ``limit`` sets of so many days ago or earlier that no version has; return how many.

    They are of deployments that were refused, and of versions that are gone.
    """
    gone = await db.fetch(
        """
        DELETE FROM variable_sets WHERE id IN (
            SELECT id FROM variable_sets s
            WHERE created_at < now() - make_interval(days => $1)
                AND NOT EXISTS (SELECT 1 FROM function_versions v WHERE v.variables_id = s.id)
                AND NOT EXISTS (SELECT 1 FROM deployments d WHERE d.spec ->> 'variables_id' = s.id)
            LIMIT $2
        ) RETURNING 1
        """,
        keep_days,
        limit,
    )
    return len(gone)


async def _keep(db: Queries, variables: Variables, environment: Mapping[str, str]) -> str:
    set_id = new_record_id()
    sealed = await variables.seal(environment, set_id)
    await db.execute(
        "INSERT INTO variable_sets (id, master_key_id, wrapped_key, sealed) VALUES ($1, $2, $3, $4)",
        set_id,
        sealed.master_key_id,
        sealed.wrapped_key,
        sealed.sealed,
    )
    return set_id


async def _open(db: Queries, variables: Variables, set_ids: set[str]) -> dict[str, Mapping[str, str]]:
    """Return sets by id; raise ``BrokenSealError`` for one that is gone or was changed by somebody else."""
    found = {set_id: known for set_id in set_ids if (known := variables.known(set_id)) is not None}
    if len(found) == len(set_ids):
        return found
    rows = await db.fetch(
        "SELECT id, master_key_id, wrapped_key, sealed FROM variable_sets WHERE id = ANY($1::text[])",
        list(set_ids - found.keys()),
    )
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        found |= dict(await asyncio.gather(*(_opened_row(variables, row) for row in some)))
    if len(found) < len(set_ids):
        raise BrokenSealError("environment variables of a function are gone")
    return found


async def _opened_row(variables: Variables, row: Row) -> tuple[str, Mapping[str, str]]:
    sealed = Sealed(master_key_id=row["master_key_id"], wrapped_key=row["wrapped_key"], sealed=row["sealed"])
    return row["id"], await variables.open(sealed, row["id"])
