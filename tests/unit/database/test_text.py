import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database.text import json_text, storable, stored_bytes

# Everything a str can hold, halves of surrogate pairs included.
anything = st.text(alphabet=st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [("plain", "plain"), ("a\0b", "a\ufffdb"), ("ü\0", "ü\ufffd"), ("\ud800", "\ufffd"), ("\ud83d\ude00", "😀")],
)
def test_text_is_kept_but_for_nul_and_lone_surrogates(given_text: str, stored: str) -> None:
    assert storable(given_text) == stored


@given(anything)
def test_whatever_a_function_prints_can_be_stored(text: str) -> None:
    stored = storable(text)

    assert "\0" not in stored
    assert stored.encode().decode() == stored
    assert storable(stored) == stored


def test_bytes_that_are_not_utf8_are_stored_readably() -> None:
    assert stored_bytes(b"\xff\0ok") == "\ufffd\ufffdok"


@given(st.recursive(anything | st.integers(-(2**53), 2**53) | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_json_never_holds_what_a_jsonb_column_refuses(value: object) -> None:
    text = json_text(value)

    assert "\\u0000" not in text.replace("\\\\", "")
    orjson.loads(text)
