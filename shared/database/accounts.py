"""
Accounts, their first project and environment, and the first credentials.

A new account has project ``default`` with environment ``master``, on this installation itself. The oldest account is
the platform's own: its default environment is where callers without credentials reach public functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.database import access, applications, cloud_connections, people, workspaces
from shared.database.passwords import replace_password
from shared.database.pool import Connection, Database, Queries
from shared.database.slugs import free_slug
from shared.database.text import storable
from shared.domain.errors import NotFoundError
from shared.domain.ids import new_key_id, new_record_id
from shared.domain.permission import API_KEY_PERMISSIONS, EXTRA_HORIZON_PERMISSIONS
from shared.domain.workspace import Membership, Role

_FIRST_ACCOUNT_LOCK = 0x6163_636F_756E_7431
ADMIN_ROLE = "admin"
"""The role that is given every permission at every start."""
OWN_ROLE = "user "
"""What the name of a role begins with that was made for one user; their id follows."""
FIRST_VERSION = "v1"
"""The version of the applications that the platform makes itself."""
_FIRST_PROJECT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where functions live: an environment of a project of an account."""

    id: str
    account_id: str
    project_id: str
    project_slug: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminCredentials:
    """
    The first user's credentials, as digests; the client id is public.

    Another ``password_hash`` than the user has, be it of the same password, ends what they came in by.
    """

    email: str
    password_hash: str
    api_key_sha256: str
    api_key_prefix: str
    oauth_client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAccount:
    """The platform's own account and what opens it."""

    account_id: str
    environment: Environment
    user_id: str
    application_id: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account that has just been made, and the key that opens it."""

    account_id: str
    environment_id: str
    key_id: str


async def ensure_first_account(db: Database, admin: AdminCredentials) -> FirstAccount:
    """
    Make the first account and its credentials, or whatever of them is missing; safe to call at every start.

    Afterwards the credentials given are in force: the user has that password, every permission there is and the account
    as a workspace, the key and the client id are known. Earlier keys and client ids stay valid, but not what was let in
    by an earlier password.
    """

    async def work(connection: Connection) -> FirstAccount:
        # Replicas start together; whoever comes second finds everything there.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _FIRST_ACCOUNT_LOCK)
        environment = await _default_environment(connection) or await _create_account(connection, "default")
        return FirstAccount(
            account_id=environment.account_id,
            environment=environment,
            user_id=await _ensure_admin(connection, environment.account_id, admin),
            application_id=await _ensure_application(connection, environment, admin.oauth_client_id),
            key_id=await _ensure_key(connection, environment, admin.api_key_sha256, admin.api_key_prefix),
        )

    return await db.in_transaction(work)


async def add_account(db: Database, name: str, api_key_sha256: str, api_key_prefix: str) -> NewAccount:
    """Make another account, with its first project and environment and an API key that may do everything."""

    async def work(connection: Connection) -> NewAccount:
        environment = await _create_account(connection, name)
        return NewAccount(
            account_id=environment.account_id,
            environment_id=environment.id,
            key_id=await _ensure_key(connection, environment, api_key_sha256, api_key_prefix),
        )

    return await db.in_transaction(work)


async def default_environment(db: Queries) -> Environment:
    """
    Return the default environment of the platform's own account.

    Raises:
        NotFoundError: there is no account yet.
    """
    environment = await _default_environment(db)
    if environment is None:
        raise NotFoundError("there is no account yet")
    return environment


async def add_user(db: Database, email: str, password_hash: str, permissions: Sequence[str]) -> str:
    """
    Add a user to the platform's own account, with a role of their own for these permissions, if any; return the id.

    Raises:
        EmailUsedError: there is a user with that email.
        NotFoundError: there is no account yet.
    """

    async def work(connection: Connection) -> str:
        account_id = (await default_environment(connection)).account_id
        user_id = new_record_id()
        await access.insert_user(connection, user_id, account_id, email, password_hash)
        if permissions:
            own_role = f"{OWN_ROLE}{user_id}"
            role_id = await access.insert_role(connection, new_record_id(), account_id, own_role, permissions)
            await access.grant_role(connection, user_id, role_id)
        return user_id

    return await db.in_transaction(work)


async def _default_environment(db: Queries) -> Environment | None:
    row = await db.fetchrow(
        """
        SELECT e.id, e.account_id, e.project_id, p.slug AS project_slug, e.slug, e.name
        FROM accounts a
        JOIN projects p ON p.account_id = a.id AND p.is_default
        JOIN environments e ON e.project_id = p.id AND e.is_default
        ORDER BY a.created_at, a.id LIMIT 1
        """
    )
    return None if row is None else Environment(**row)


async def _create_account(connection: Connection, name: str) -> Environment:
    environment = Environment(
        id=new_record_id(),
        account_id=new_record_id(),
        project_id=new_record_id(),
        project_slug=await free_slug(connection, "projects", _FIRST_PROJECT),
        slug="master",
        name="master",
    )
    await connection.execute(
        "INSERT INTO accounts (id, name, slug) VALUES ($1, $2, $3)",
        environment.account_id,
        storable(name),
        await free_slug(connection, "accounts", name),
    )
    await connection.execute(
        """
        INSERT INTO projects (id, account_id, slug, name, is_default, connection_id) VALUES ($1, $2, $3, $4, true, $5)
        """,
        environment.project_id,
        environment.account_id,
        environment.project_slug,
        _FIRST_PROJECT,
        (await cloud_connections.ensure_local(connection, environment.account_id)).id,
    )
    await connection.execute(
        """
        INSERT INTO environments (id, account_id, project_id, slug, name, is_default)
        VALUES ($1, $2, $3, $4, $5, true)
        """,
        environment.id,
        environment.account_id,
        environment.project_id,
        environment.slug,
        environment.name,
    )
    return environment


async def _ensure_admin(connection: Connection, account_id: str, admin: AdminCredentials) -> str:
    known = await access.find_user_by_email(connection, admin.email)
    user_id = known.id if known is not None else new_record_id()
    if known is None:
        await access.insert_user(connection, user_id, account_id, admin.email, admin.password_hash)
    elif known.password_hash != admin.password_hash:
        await replace_password(connection, user_id, admin.password_hash)
    role_id = await access.insert_role(
        connection, new_record_id(), account_id, ADMIN_ROLE, EXTRA_HORIZON_PERMISSIONS, "Everything"
    )
    await access.grant_role(connection, user_id, role_id)
    if await workspaces.add_member(connection, account_id, user_id, Membership(role=Role.OWNER)):
        await people.set_default_workspace(connection, user_id, account_id)
    return user_id


async def _ensure_application(connection: Connection, environment: Environment, client_id: str) -> str:
    known = await applications.find_client(connection, client_id)
    if known is not None:
        return known.id
    application = applications.NewApplication(
        id=new_record_id(),
        account_id=environment.account_id,
        environment_id=environment.id,
        type="oauth2",
        name="default",
    )
    await applications.insert_application(connection, application)
    client = applications.NewClient(
        id=new_record_id(), application_id=application.id, name=FIRST_VERSION, client_id=client_id
    )
    await applications.insert_client(connection, client)
    return application.id


async def _ensure_key(connection: Connection, environment: Environment, sha256: str, prefix: str) -> str:
    known = await access.find_api_key(connection, sha256)
    if known is not None:
        return known.id
    key = access.NewKey(
        id=new_key_id(),
        account_id=environment.account_id,
        environment_id=environment.id,
        name="admin",
        sha256=sha256,
        prefix=prefix,
        permissions=API_KEY_PERMISSIONS,
    )
    await access.insert_api_key(connection, key)
    return key.id
