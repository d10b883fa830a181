"""
Another password for a user, and the end of all that the earlier one has let in.

Whoever is about to give out a session, tokens or a code for a password holds the user's row until that is committed:
a change of the password waits for them, and then sees what they gave.
"""

from shared.database.pool import Connection
from shared.database.sessions import end_sessions


async def replace_password(
    connection: Connection, user_id: str, password_hash: str, *, but_session: int | None = None
) -> None:
    """Give a user another password; whoever came in with the earlier one is out, but perhaps for one session."""
    # By itself: it waits for logins that have seen the earlier password, and what follows sees their tokens.
    await connection.execute(
        "UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1", user_id, password_hash
    )
    await put_out(connection, user_id, but_session=but_session)


async def put_out(connection: Connection, user_id: str, *, but_session: int | None = None) -> None:
    """End what a user came in by: tokens and codes, and every session but perhaps one. Their row must be held."""
    await end_sessions(connection, user_id, but=but_session)
    await connection.execute(
        """
        WITH fresh AS (DELETE FROM refresh_tokens WHERE user_id = $1),
             signed AS (DELETE FROM oauth1_tokens WHERE user_id = $1),
             codes AS (DELETE FROM oauth2_authorizations WHERE user_id = $1)
        DELETE FROM access_tokens WHERE user_id = $1
        """,
        user_id,
    )


async def hold_password(connection: Connection, user_id: str) -> None:
    """Keep a user's password as it is until the transaction ends."""
    await connection.execute("SELECT FROM users WHERE id = $1 FOR SHARE", user_id)


async def has_token(connection: Connection, user_id: str, application_id: str | None) -> bool:
    """Tell whether a user is still let in through an application; whoever holds their password can rely on it."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM access_tokens WHERE user_id = $1 AND application_id = $2 AND expires_at > now())
            OR EXISTS (SELECT FROM oauth1_tokens WHERE user_id = $1 AND application_id = $2)
        """,
        user_id,
        application_id,
    )
    return found


async def hold_password_of_token(connection: Connection, refresh_sha256: str) -> None:
    """Do the same for the user of a refresh token, if there is one."""
    await connection.execute(
        """
        SELECT FROM users WHERE id = (SELECT user_id FROM refresh_tokens WHERE sha256 = $1) FOR SHARE
        """,
        refresh_sha256,
    )
