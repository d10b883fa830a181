"""
Members of workspaces and those who are invited to be.

An invitation is to an email address, for whoever has it; it ends by being taken, declined, or after its time, and when
whoever made it could not make it any more. Who may do what is not known here, but that a workspace keeps an owner is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.database.pool import Connection, Database, Queries, Row
from shared.database.text import storable
from shared.database.workspaces import lock_workspace, membership_of
from shared.domain.errors import IllegalStateError, InvalidRequestError, NameTakenError
from shared.domain.workspace import Membership, Role

_MEMBER = """
    m.id, m.role, m.project_permissions, m.joined_at, m.updated_at, u.id AS user_id, u.number AS user_number, u.email,
    trim(u.first_name || ' ' || u.last_name) AS name
"""
_INVITATION = """
    i.id, i.account_id, i.email, i.role, i.project_permissions, i.status, i.expires_at, i.accepted_at, i.created_at,
    i.updated_at, a.number AS workspace_number, a.name AS workspace_name, a.slug AS workspace_slug,
    u.number AS inviter_number, trim(u.first_name || ' ' || u.last_name) AS inviter_name, u.email AS inviter_email
"""
_INVITATIONS = "invitations i JOIN accounts a ON a.id = i.account_id JOIN users u ON u.id = i.invited_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user in a workspace."""

    id: int
    user_id: str
    user_number: int
    name: str
    email: str
    membership: Membership
    joined_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvitation:
    """An invitation to be kept."""

    account_id: str
    email: str
    membership: Membership
    invited_by: str
    valid_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation with the names of who invites and to what. ``status`` says nothing of its time being over."""

    id: int
    account_id: str
    workspace_number: int
    workspace_name: str
    workspace_slug: str
    email: str
    membership: Membership
    status: str
    inviter_number: int
    inviter_name: str
    inviter_email: str
    expires_at: datetime
    accepted_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def list_members(db: Queries, account_id: str) -> Sequence[Member]:
    """Return the members of a workspace, the oldest first."""
    rows = await db.fetch(
        f"SELECT {_MEMBER} FROM members m JOIN users u ON u.id = m.user_id WHERE m.account_id = $1 ORDER BY m.id",  # noqa: S608 - constants
        account_id,
    )
    return [_member_of(row) for row in rows]


async def find_member(db: Queries, account_id: str, user_number: int) -> Member | None:
    """Return a member by the number of the user."""
    row = await db.fetchrow(
        f"""
        SELECT {_MEMBER} FROM members m JOIN users u ON u.id = m.user_id WHERE m.account_id = $1 AND u.number = $2
        """,  # noqa: S608 - constants
        account_id,
        user_number,
    )
    return None if row is None else _member_of(row)


async def is_member(db: Queries, account_id: str, email: str) -> bool:
    """Tell whether a member of the workspace has that email."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT 1 FROM members m JOIN users u ON u.id = m.user_id
                       WHERE m.account_id = $1 AND lower(u.email) = lower($2))
        """,
        account_id,
        storable(email),
    )
    return found


async def update_member(db: Database, account_id: str, member: Member, membership: Membership) -> Member | None:
    """
    Make a member something else; None when they are gone.

    Raises:
        InvalidRequestError: it is the last owner, who would be none any more.
        IllegalStateError: they have another role by now than ``member`` says.
    """

    async def work(connection: Connection) -> Member | None:
        await _keep_an_owner(connection, account_id, member, membership.role)
        await set_membership(connection, account_id, member.user_id, membership)
        return await find_member(connection, account_id, member.user_number)

    return await db.in_transaction(work)


async def set_membership(connection: Connection, account_id: str, user_id: str, membership: Membership) -> None:
    """Make a member something else, whoever is left to own the workspace; what they may not give now is withdrawn."""
    await connection.execute(
        """
        UPDATE members SET role = $3, project_permissions = $4, updated_at = now()
        WHERE account_id = $1 AND user_id = $2
        """,
        account_id,
        user_id,
        membership.role,
        None if membership.places is None else list(membership.places),
    )
    await _withdraw(connection, account_id, user_id, membership)


async def remove_member(db: Database, account_id: str, member: Member) -> None:
    """
    Take a user out of a workspace, with what they have invited to.

    Raises:
        InvalidRequestError: it is the last owner.
        IllegalStateError: they have another role by now than ``member`` says.
    """

    async def work(connection: Connection) -> None:
        await _keep_an_owner(connection, account_id, member, None)
        await _withdraw(connection, account_id, member.user_id, None)
        await connection.execute(
            "DELETE FROM members WHERE account_id = $1 AND user_id = $2", account_id, member.user_id
        )
        await connection.execute(
            "UPDATE users SET default_account_id = NULL WHERE id = $2 AND default_account_id = $1",
            account_id,
            member.user_id,
        )

    await db.in_transaction(work)


async def rename_project(db: Queries, account_id: str, old: str, new: str) -> None:
    """Let members and invitations that are narrowed to a project by its old slug be so by its new one."""
    for table in ("members", "invitations"):
        await db.execute(
            f"""
            UPDATE {table} SET project_permissions = ARRAY(
                SELECT CASE WHEN split_part(place, '/', 1) = $2 THEN $3 || substring(place FROM length($2) + 1)
                       ELSE place END
                FROM unnest(project_permissions) AS place)
            WHERE account_id = $1 AND project_permissions IS NOT NULL
            """,  # noqa: S608 - constants
            account_id,
            old,
            new,
        )


async def rename_environment(db: Queries, account_id: str, old: str, new: str) -> None:
    """Do the same for an environment; both are given as ``project/environment``."""
    for table in ("members", "invitations"):
        await db.execute(
            f"""
            UPDATE {table} SET project_permissions = array_replace(project_permissions, $2, $3)
            WHERE account_id = $1 AND $2 = ANY(project_permissions)
            """,  # noqa: S608 - constants
            account_id,
            old,
            new,
        )


async def insert_invitation(connection: Connection, new: NewInvitation) -> Invitation:
    """
    Keep an invitation; one to the same address whose time is over makes way.

    Raises:
        NameTakenError: one to that address is pending.
    """
    await connection.execute(
        """
        UPDATE invitations SET status = 'cancelled', updated_at = now()
        WHERE account_id = $1 AND lower(email) = lower($2) AND status = 'pending' AND expires_at <= now()
        """,
        new.account_id,
        storable(new.email),
    )
    made = await connection.fetchval(
        """
        INSERT INTO invitations (account_id, email, role, project_permissions, invited_by, expires_at)
        VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6)) ON CONFLICT DO NOTHING RETURNING id
        """,
        new.account_id,
        storable(new.email),
        new.membership.role,
        None if new.membership.places is None else list(new.membership.places),
        new.invited_by,
        new.valid_s,
    )
    if made is None:
        raise NameTakenError(f"an invitation of {new.email} is pending already", field="email")
    found = await find_invitation(connection, made)
    assert found is not None
    return found


async def find_invitation(db: Queries, invitation_id: int) -> Invitation | None:
    """Return an invitation, whatever has become of it."""
    row = await db.fetchrow(
        f"SELECT {_INVITATION} FROM {_INVITATIONS} WHERE i.id = $1 AND a.deleted_at IS NULL",  # noqa: S608 - constants
        invitation_id,
    )
    return None if row is None else _invitation_of(row)


async def is_to(db: Queries, invitation_id: int, email: str) -> bool:
    """Tell whether an invitation is to this address: which spellings are one is the database's to say."""
    found: bool | None = await db.fetchval(
        "SELECT lower(email) = lower($2) FROM invitations WHERE id = $1", invitation_id, storable(email)
    )
    return found is True


async def pending_invitations(db: Queries, email: str) -> Sequence[Invitation]:
    """Return what somebody with this email may accept, newest first."""
    rows = await db.fetch(
        f"""
        SELECT {_INVITATION} FROM {_INVITATIONS}
        WHERE lower(i.email) = lower($1) AND i.status = 'pending' AND i.expires_at > now() AND a.deleted_at IS NULL
        ORDER BY i.id DESC
        """,  # noqa: S608 - constants
        storable(email),
    )
    return [_invitation_of(row) for row in rows]


async def settle_invitation(db: Queries, invitation_id: int, status: str) -> bool:
    """End a pending invitation as ``accepted`` or ``cancelled``; False when it is not pending any more."""
    settled = await db.fetchval(
        """
        UPDATE invitations SET status = $2, updated_at = now(),
                               accepted_at = CASE WHEN $2 = 'accepted' THEN now() END
        WHERE id = $1 AND status = 'pending' AND expires_at > now() RETURNING id
        """,
        invitation_id,
        status,
    )
    return settled is not None


async def _keep_an_owner(connection: Connection, account_id: str, member: Member, becomes: Role | None) -> None:
    """
    Refuse what would leave the workspace without an owner, and what was decided on a role that they have no more.

    Others who try the same wait for us.
    """
    await lock_workspace(connection, account_id)
    row = await connection.fetchrow(
        """
        SELECT (SELECT role FROM members WHERE account_id = $1 AND user_id = $2) AS role,
               EXISTS (SELECT 1 FROM members WHERE account_id = $1 AND role = 'owner' AND user_id <> $2) AS is_owned
        """,
        account_id,
        member.user_id,
    )
    assert row is not None  # a SELECT without FROM has one
    if row["role"] is not None and row["role"] != member.membership.role:
        raise IllegalStateError("the member has just been given another role", state=row["role"])
    if becomes is not Role.OWNER and member.membership.role is Role.OWNER and not row["is_owned"]:
        raise InvalidRequestError("the last owner of a workspace stays its owner", field="role", issue="last owner")


async def _withdraw(connection: Connection, account_id: str, user_id: str, membership: Membership | None) -> None:
    """Cancel what a user has invited to and could not any more, being what they are now (None: no member)."""
    await connection.execute(
        """
        UPDATE invitations SET status = 'cancelled', updated_at = now()
        WHERE account_id = $1 AND invited_by = $2 AND status = 'pending' AND role = ANY($3::text[])
        """,
        account_id,
        user_id,
        [role.value for role in Role if membership is None or not membership.may_give(role)],
    )


def _member_of(row: Row) -> Member:
    membership = membership_of(row)
    assert membership is not None  # a member has a role
    return Member(**{name: row[name] for name in Member.__slots__ if name != "membership"}, membership=membership)


def _invitation_of(row: Row) -> Invitation:
    membership = membership_of(row)
    assert membership is not None  # so has whoever is invited
    return Invitation(
        **{name: row[name] for name in Invitation.__slots__ if name != "membership"}, membership=membership
    )
