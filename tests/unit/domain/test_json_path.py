from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.json_path import NotThereError, find, parse_path

DOCUMENT = {"a": {"b": [10, {"c-d": None}], "0": "zero"}, "odd name": {"ü": 1}}


@pytest.mark.parametrize(
    ("path", "value"),
    [("$", DOCUMENT), ("$.a.b[0]", 10), ("$.a.b[1].c-d", None), ("$['a'].b[1]['c-d']", None), ("$.a.0", "zero"),
     ("$['odd name']['ü']", 1)],
)  # fmt: skip
def test_a_path_finds_its_value(path: str, value: object) -> None:
    assert value == find(DOCUMENT, parse_path(path))


@pytest.mark.parametrize("path", ["$.b", "$.a.b[2]", "$.a.b.c", "$.a[0]", "$[0]", "$.a.b[0].c", "$.a.b[1].c-d.e"])
def test_what_is_not_there_is_not_found(path: str) -> None:
    with pytest.raises(NotThereError):
        find(DOCUMENT, parse_path(path))


@pytest.mark.parametrize(
    "path",
    ["", "a", "a.b", "$a", "$.", "$..a", "$.a.", "$[", "$[]", "$[-1]", "$[01]", "$[1", "$[*]", "$.*", "$['a", "$['']",
     "$[a]", "$.a b", "$.a[0]x", "$.é", "$[٣]", "$[1234567890]", "$" + ".a" * 500],
)  # fmt: skip
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="expected a path"):
        parse_path(path)


names = st.text(st.characters(exclude_characters="'"), min_size=1, max_size=5)


@given(st.lists(st.one_of(names, st.integers(0, 3)), max_size=6))
def test_any_place_can_be_named(steps: list[Any]) -> None:
    document: Any = "here"
    path = ""
    for step in reversed(steps):
        document = {step: document} if isinstance(step, str) else [None] * step + [document]
        path = (f"['{step}']" if isinstance(step, str) else f"[{step}]") + path

    assert find(document, parse_path("$" + path)) == "here"
