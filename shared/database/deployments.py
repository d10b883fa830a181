"""
Deployments: one asked-for change of what a function runs, from the row the api commits to its end.

Opening one takes the function's name (a create) or the function itself (an update: active -> updating), so that
there is one change at a time; ending it gives it back. An update that is refused leaves the function exactly as
it was; a create that is refused leaves nothing.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import asyncpg

from shared.database import leftovers, variables
from shared.database.environments import Room, take_room
from shared.database.functions import (
    FunctionSettings,
    delete_function,
    find_function,
    insert_version,
    settings_assignments,
)
from shared.database.placements import insert_placement, record_removed, record_unsure
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.stored_specs import settings_of, spec_of
from shared.database.text import storable, storable_or_none
from shared.domain.errors import (
    ErrorRecord,
    FunctionNotFoundError,
    IllegalStateError,
    NameTakenError,
)
from shared.domain.function import Function, PermissionMode, VersionSpec
from shared.domain.ids import new_record_id
from shared.domain.placement import Placement
from shared.domain.states import DEPLOYMENT, FUNCTION, sources, terminal

UploadKind = Literal["zip", "source", "text", "edit"]

Action = Literal["deploy", "sync", "remove"]
"""``sync`` takes over what a function's cloud has, ``remove`` takes it away there and deletes it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeployment:
    """
    A change to be carried out.

    A create (``creates``) names the account, environment and name; an update needs ``function_id`` alone of
    these. ``upload_kind`` is None when the package stays: then only the configuration is new. A zip is in the
    package store under ``upload_sha256``; source text is in ``source``. ``placement`` is given with a create that
    goes somewhere else than to our own machines, ``room`` with one that a plan limits.
    """

    function_id: str
    spec: VersionSpec
    action: Action = "deploy"
    placement: Placement | None = None
    room: Room | None = None
    account_id: str = ""
    environment_id: str = ""
    name: str = ""
    provider: str = "local"
    creates: bool = False
    upload_kind: UploadKind | None = None
    upload_sha256: str | None = None
    source: str | None = None
    settings: FunctionSettings = field(default_factory=FunctionSettings)
    id: str = field(default_factory=new_record_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment as the deployer takes it. ``attempts`` counts this one."""

    id: str
    function_id: str
    state: str
    spec: VersionSpec
    settings: FunctionSettings
    upload_kind: UploadKind | None
    upload_sha256: str | None
    source: str | None
    creates: bool
    attempts: int
    error: ErrorRecord | None
    action: Action = "deploy"


async def open_deployment(db: Database, new: NewDeployment) -> str:
    """
    Commit a deployment and take what it changes; return its id.

    Raises:
        NameTakenError: another function of the environment has the name.
        FunctionNotFoundError: the function to update is gone.
        IllegalStateError: the function is being changed already.
        NotConnectedError: the connection that the placement names may not be used.
        QuotaExceededError: there is no room for one more.
    """
    spec = await variables.sealed(db, new.spec)

    async def work(connection: Connection) -> None:
        if new.room is not None:
            await take_room(connection, new.room)
        if new.creates:
            await _take_name(connection, new)
            if new.placement is not None:
                await insert_placement(connection, new.placement)
        else:
            await _take_function(connection, new.function_id)
        await connection.execute(
            """
            INSERT INTO deployments
                (id, function_id, state, upload_sha256, upload_kind, source, spec, settings, creates, action)
            VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, $8, $9)
            """,
            new.id,
            new.function_id,
            new.upload_sha256,
            new.upload_kind,
            storable_or_none(new.source),
            spec,
            new.settings,
            new.creates,
            new.action,
        )

    await db.in_transaction(work)
    return new.id


async def claim_deployment(db: Queries, deployment_id: str) -> Deployment | None:
    """
    Take up a deployment that is not ended, also one that a dead deployer began; None for any other.

    Raises:
        BrokenSealError: its environment variables cannot be opened; it is taken up all the same.
    """
    deployment = await _claim(db, deployment_id)
    if deployment is None:
        return None
    [spec] = await variables.opened(db, [deployment.spec])
    return replace(deployment, spec=spec)


async def _claim(db: Queries, deployment_id: str) -> Deployment | None:
    row = await db.fetchrow(
        """
        UPDATE deployments SET state = 'running', attempts = attempts + 1, updated_at = now()
        WHERE id = $1 AND state = ANY($2::text[]) RETURNING *
        """,
        deployment_id,
        sources(DEPLOYMENT, "started"),
    )
    return None if row is None else _deployment_of(row)


async def name_package(db: Queries, deployment_id: str, sha256: str) -> None:
    """Say which package a running deployment is about to keep: it stays as long as the deployment has not ended."""
    await db.execute("UPDATE deployments SET package_sha256 = $2 WHERE id = $1", deployment_id, sha256)


async def succeed(db: Database, deployment: Deployment, package_sha256: str, source: str | None) -> Function:
    """
    Make what was deployed what runs: a new version, the settings that came with it, a new revision.

    Raises:
        FunctionNotFoundError: the function was deleted meanwhile; the deployment is then refused.
        NameTakenError: another function has taken the new name meanwhile; refuse the deployment with it.
        IllegalStateError: the deployment has ended already; nothing is changed.
    """
    spec = await variables.sealed(db, deployment.spec)

    async def work(connection: Connection) -> bool:
        taken = await connection.fetchval(
            "SELECT status FROM functions WHERE id = $1 AND status = ANY($2::text[]) FOR UPDATE",
            deployment.function_id,
            sources(FUNCTION, "deployed"),
        )
        if taken is None:
            return False
        await _end(connection, deployment.id, "succeeded", "succeeded")
        version_id = await insert_version(connection, deployment.function_id, spec, package_sha256, source)
        assignments, arguments = settings_assignments(deployment.settings, first=3)
        await connection.execute(
            f"""
            UPDATE functions SET status = 'active', active_version_id = $2, revision = revision + 1,
                updated_at = CASE WHEN status = 'creating' THEN created_at ELSE now() END{assignments}
            WHERE id = $1
            """,  # noqa: S608 - built from constants
            deployment.function_id,
            version_id,
            *arguments,
        )
        return True

    gone = FunctionNotFoundError("the function was deleted while it was being deployed")
    try:
        done = await db.in_transaction(work)
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(f"another function is called {deployment.settings.name}") from error
    if not done:
        await refuse(db, deployment, gone.record())
        raise gone
    function = await find_function(db, deployment.function_id)
    if function is None:
        raise gone
    return function


async def release(db: Database, deployment: Deployment) -> None:
    """End a running deployment well that changed nothing; one that has ended already raises ``IllegalStateError``."""

    async def work(connection: Connection) -> None:
        await _end(connection, deployment.id, "succeeded", "succeeded")
        await _give_back(connection, deployment.function_id)

    await db.in_transaction(work)


async def remove(db: Database, deployment: Deployment) -> Function | None:
    """
    Delete the function of a running deployment, whose cloud does not have it any more; return it as it was.

    Raises:
        IllegalStateError: the deployment has ended already; nothing is changed.
    """

    async def work(connection: Connection) -> Function | None:
        await _end(connection, deployment.id, "succeeded", "succeeded")
        await record_removed(connection, deployment.function_id)
        return await delete_function(connection, deployment.function_id)

    return await db.in_transaction(work)


async def refuse(db: Database, deployment: Deployment, error: ErrorRecord, *, undone: bool = True) -> None:
    """
    End a running deployment without its change; one that has ended already is left as it is.

    Unless it is ``undone`` its cloud may have it, or half of it: that will be looked at, or taken away there.
    """

    async def work(connection: Connection) -> None:
        ended = await connection.fetchval(
            """
            UPDATE deployments SET state = 'refused', error = $3, updated_at = now()
            WHERE id = $1 AND state = ANY($2::text[]) RETURNING id
            """,
            deployment.id,
            sources(DEPLOYMENT, "refused"),
            replace(error, fields=dict(error.fields)),
        )
        if ended is None:
            return
        if not undone and deployment.creates:
            await leftovers.leave(connection, deployment.function_id)
        elif not undone:
            await record_unsure(connection, deployment.function_id)
        await _give_back(connection, deployment.function_id)

    await db.in_transaction(work)


async def give_up(db: Database, deployment_id: str, error: ErrorRecord) -> bool:
    """Refuse a deployment that will not be tried again; return whether it had not ended yet."""
    deployment = await _claim(db, deployment_id)
    if deployment is None:
        return False
    await refuse(db, deployment, error, undone=False)
    return True


async def cancel_pending(db: Database, deployment_id: str) -> bool:
    """Call a deployment off that nobody has begun; return whether that was so."""

    async def work(connection: Connection) -> bool:
        function_id = await connection.fetchval(
            """
            UPDATE deployments SET state = 'cancelled', updated_at = now()
            WHERE id = $1 AND state = ANY($2::text[]) RETURNING function_id
            """,
            deployment_id,
            sources(DEPLOYMENT, "cancelled"),
        )
        if function_id is None:
            return False
        await _give_back(connection, function_id)
        return True

    return await db.in_transaction(work)


async def find_deployment(db: Queries, deployment_id: str) -> Deployment | None:
    """Return a deployment in whatever state it is; its environment variables stay sealed."""
    row = await db.fetchrow("SELECT * FROM deployments WHERE id = $1", deployment_id)
    return None if row is None else _deployment_of(row)


async def ended(db: Queries, deployment_id: str) -> Deployment | None:
    """Return a deployment if it has ended: with its ``error``, or succeeded without one."""
    found = await find_deployment(db, deployment_id)
    return found if found is not None and found.state in terminal(DEPLOYMENT) else None


async def _take_name(connection: Connection, new: NewDeployment) -> None:
    settings = new.settings
    inserted = await connection.fetchval(
        """
        INSERT INTO functions (id, account_id, environment_id, name, description, status, enabled, provider, tags,
                               permission_mode, default_priority, retry_enabled, retry_errors)
        VALUES ($1, $2, $3, $4, $5, 'creating', $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (environment_id, name) WHERE deleted_at IS NULL DO NOTHING RETURNING id
        """,
        new.function_id,
        new.account_id,
        new.environment_id,
        storable(new.name),
        storable(settings.description or ""),
        settings.enabled is not False,
        new.provider,
        [storable(tag) for tag in settings.tags or ()],
        settings.permission_mode or PermissionMode.PERMISSION_REQUIRED,
        settings.default_priority or 0,
        settings.retry_policy is not None and settings.retry_policy.enabled,
        [storable(name) for name in settings.retry_policy.errors_to_retry] if settings.retry_policy else [],
    )
    if inserted is None:
        raise NameTakenError(f"a function named {new.name} already exists")


async def _take_function(connection: Connection, function_id: str) -> None:
    updated = await connection.fetchval(
        "UPDATE functions SET status = 'updating' WHERE id = $1 AND status = ANY($2::text[]) RETURNING id",
        function_id,
        sources(FUNCTION, "change_asked"),
    )
    if updated is not None:
        return
    if await connection.fetchval("SELECT id FROM functions WHERE id = $1 AND deleted_at IS NULL", function_id) is None:
        raise FunctionNotFoundError("no such function")
    raise IllegalStateError("the function is being changed already")


async def _give_back(connection: Connection, function_id: str) -> None:
    """Undo what opening a deployment took: the name of a function that never was, or the function."""
    await connection.execute("DELETE FROM functions WHERE id = $1 AND status = 'creating'", function_id)
    await connection.execute(
        "UPDATE functions SET status = 'active' WHERE id = $1 AND status = ANY($2::text[])",
        function_id,
        sources(FUNCTION, "change_refused"),
    )


async def _end(connection: Connection, deployment_id: str, state: str, event: str) -> None:
    ended_id = await connection.fetchval(
        "UPDATE deployments SET state = $2, updated_at = now() WHERE id = $1 AND state = ANY($3::text[]) RETURNING id",
        deployment_id,
        state,
        sources(DEPLOYMENT, event),
    )
    if ended_id is None:
        raise IllegalStateError("the deployment has ended already")


def _deployment_of(row: Row) -> Deployment:
    return Deployment(
        id=row["id"],
        function_id=row["function_id"],
        state=row["state"],
        spec=spec_of(row["spec"]),
        settings=settings_of(row["settings"]),
        upload_kind=row["upload_kind"],
        upload_sha256=row["upload_sha256"],
        source=row["source"],
        creates=row["creates"],
        attempts=row["attempts"],
        error=None if row["error"] is None else ErrorRecord(**row["error"]),
        action=row["action"],
    )
