import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto import tokens


@pytest.mark.parametrize(
    ("make", "form"), [(tokens.new_token, r"[0-9a-f]{40}"), (tokens.new_api_key, r"sl_[0-9a-f]{64}")]
)
def test_tokens_and_keys_have_their_form_and_never_repeat(make: object, form: str) -> None:
    assert callable(make)
    made = [make() for _ in range(1000)]

    assert all(re.fullmatch(form, each) for each in made)
    assert len(set(made)) == len(made)


def test_a_key_is_shown_by_its_first_eleven_characters() -> None:
    assert tokens.shown_prefix("sl_0123456789abcdef") == "sl_01234567"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_whatever_is_presented_has_a_digest(presented: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", tokens.sha256_hex(presented))
    assert tokens.same(presented, presented)
    assert not tokens.same(presented, presented + "x")


def test_the_digest_is_sha256() -> None:
    assert tokens.sha256_hex("sl_ü") == hashlib.sha256("sl_ü".encode()).hexdigest()
