"""What a session's token must be to be read: ours, whole, in time, and no other kind of token."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from services.api.access.session_tokens import KEY_BYTES, SessionClaims, claims_of, token_for
from shared.domain.errors import UnauthenticatedError

KEY = bytes(range(KEY_BYTES))
LATER = datetime.now(UTC) + timedelta(hours=1)
SESSION = SessionClaims(session_id=3, user_number=7)
CLAIMS: dict[str, Any] = {"sub": "7", "sid": 3, "exp": LATER}


def test_a_token_says_again_what_it_was_issued_for() -> None:
    token = token_for(KEY, SESSION, LATER)

    assert claims_of(KEY, token) == SESSION
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


def test_two_tokens_of_a_session_are_never_the_same() -> None:
    tokens = {token_for(KEY, SESSION, LATER) for _ in range(5)}

    assert len(tokens) == 5


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        jwt.encode(CLAIMS, bytes(reversed(KEY)), algorithm="HS256"),
        jwt.encode(CLAIMS, KEY * 2, algorithm="HS512"),
        jwt.encode(CLAIMS, KEY * 2, algorithm="HS384"),
        jwt.encode(CLAIMS, "", algorithm="none"),
        jwt.encode({**CLAIMS, "exp": datetime.now(UTC) - timedelta(seconds=1)}, KEY, algorithm="HS256"),
        jwt.encode({**CLAIMS, "sid": "three"}, KEY, algorithm="HS256"),
        jwt.encode({**CLAIMS, "sid": None}, KEY, algorithm="HS256"),
        jwt.encode({**CLAIMS, "sid": [3]}, KEY, algorithm="HS256"),
        *(
            jwt.encode({name: value for name, value in CLAIMS.items() if name != missing}, KEY, algorithm="HS256")
            for missing in CLAIMS
        ),
    ],
)
def test_whatever_else_is_shown_is_refused(token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        claims_of(KEY, token)
