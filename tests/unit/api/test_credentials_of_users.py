"""What is remembered of users is forgotten when what they may do has changed."""

import pytest

from services.api.access.credentials import Credentials, Known, Look, SignedToken, Verdict
from shared.domain.identity import Identity

ANN = Identity(account_id="a", environment_id="e", permissions=frozenset(), user_id="ann", application_id="o")
BO = Identity(account_id="a", environment_id="e", permissions=frozenset(), user_id="bo", application_id="o")
STRANGER = Identity(account_id="b", environment_id="e", permissions=frozenset(), user_id="ann", application_id="o")
KEY = Identity(account_id="a", environment_id="e", permissions=frozenset(), key_id="key_1")


@pytest.fixture
async def credentials() -> Credentials:
    """Remember a token of each, and a signed one of Ann."""
    known = Credentials()
    for identity in (ANN, BO, STRANGER, KEY):
        await known.bearers.identify(token_of(identity), found(identity))
    await known.signed_tokens.identify("signed", found(SignedToken(token_id="t", identity=ANN, secret="s")))
    return known


def token_of(identity: Identity) -> str:
    return f"{identity.account_id} {identity.user_id}"


def found(known: Known) -> Look[Known]:
    async def look(_sha256: str) -> Verdict[Known]:
        return Verdict(found=known)

    return look


async def remembered(credentials: Credentials) -> set[str]:
    """Return the tokens that are known without asking."""
    asked: set[str] = set()

    for identity in (ANN, BO, STRANGER, KEY):
        token = token_of(identity)

        async def look(sha256: str, identity: Identity = identity) -> Verdict[Identity]:
            asked.add(sha256)
            return Verdict(found=identity)

        await credentials.bearers.identify(token, look)

    async def look_signed(sha256: str) -> Verdict[SignedToken]:
        asked.add(sha256)
        return Verdict(found=SignedToken(token_id="t", identity=ANN, secret="s"))

    await credentials.signed_tokens.identify("signed", look_signed)
    return {"a ann", "a bo", "b ann", "a None", "signed"} - asked


async def test_users_are_forgotten_by_name_with_all_their_tokens_and_nobody_else(credentials: Credentials) -> None:
    credentials.drop_users("a", {"ann", "somebody"})

    assert await remembered(credentials) == {"a bo", "b ann", "a None"}


async def test_without_names_all_users_of_the_account_are_forgotten_and_no_key(credentials: Credentials) -> None:
    credentials.drop_users("a")

    assert await remembered(credentials) == {"b ann", "a None"}


async def test_a_change_during_the_lookup_is_not_overwritten_by_what_was_seen_before() -> None:
    credentials = Credentials()

    async def look(_sha256: str) -> Verdict[Identity]:
        credentials.drop_users("a", {"ann"})  # the notice arrives while the answer is on its way
        return Verdict(found=ANN)

    await credentials.bearers.identify("a ann", look)
    await credentials.bearers.identify("a bo", found(BO))
    await credentials.bearers.identify("b ann", found(STRANGER))
    await credentials.bearers.identify("a None", found(KEY))
    await credentials.signed_tokens.identify("signed", found(SignedToken(token_id="t", identity=ANN, secret="s")))

    assert await remembered(credentials) == {"a bo", "b ann", "a None", "signed"}
