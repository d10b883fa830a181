import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.canonical import MAX_DEPTH, NotJsonError, canonical, canonical_of, number, quick

texts = st.text(st.characters(exclude_categories=[]), max_size=8)
"""Any text, halves of surrogate pairs included."""
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)


def reference(value: Any) -> str:
    """Write a value as RFC 8785 does, in the plainest way."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return number(float(value))
        case str():
            return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in _quoted(value))
        case list():
            return f"[{','.join(map(reference, value))}]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{reference(name)}:{reference(value[name])}" for name in names) + "}"


def _quoted(text: str) -> str:
    # A pair in two halves is one character to every reader of JSON.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return json.dumps(whole, ensure_ascii=False)


def whole(value: Any) -> Any:
    """Return a value as it is after a trip through JSON."""
    return json.loads(json.dumps(value))


@given(values)
def test_the_form_is_that_of_the_rfc_however_the_text_was_written(value: Any) -> None:
    expected = reference(whole(value)).encode()

    assert canonical(json.dumps(value)) == expected
    assert canonical(json.dumps(value, indent=2)) == expected
    assert canonical_of(whole(value)) == expected


@given(values)
def test_the_quick_way_is_the_same_way(value: Any) -> None:
    text = json.dumps(value)

    assert quick(text) in (None, reference(whole(value)).encode())


@given(values)
def test_the_form_of_the_form_is_itself(value: Any) -> None:
    once = canonical(json.dumps(value))

    assert canonical(once.decode()) == once


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_says_the_same_double(value: float) -> None:
    assert float(number(value)) == value


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1E2", "100"),
        ("9007199254740993", "9007199254740992"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("590295810358705651712", "590295810358705700000"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("-1.5e-9", "-1.5e-9"),
        ("333333333.33333329", "333333333.3333333"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("1e400", "null"),
        ("-1e400", "null"),
        ("1" * 5000, "null"),
    ],
)
def test_numbers_are_written_as_javascript_does(given: str, written: str) -> None:
    assert canonical(f"[{given}]") == f"[{written}]".encode()


def test_the_sample_of_the_rfc() -> None:
    given = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""

    assert canonical(given).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_names_are_sorted_by_utf_16() -> None:
    assert canonical('{"\N{GRINNING FACE}":1,"\uff5e":2,"a":3,"":4}').decode() == (
        '{"":4,"a":3,"\N{GRINNING FACE}":1,"\uff5e":2}'
    )


def test_of_equal_names_the_last_counts() -> None:
    assert canonical('{"a":1,"b":1.0,"\\u0061":2}') == b'{"a":2,"b":1}'


def test_half_of_a_pair_stays_an_escape() -> None:
    assert canonical(r'["\uD800", "\uD83D\uDE00"]').decode() == '["\\ud800","\N{GRINNING FACE}"]'


@pytest.mark.parametrize("one", ["1", "[]", "{}", "1.0", '"\\ud800"', "1e400", "[1.0]"])
def test_it_goes_as_deep_as_it_says_and_no_deeper(one: str) -> None:
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        for depth in (MAX_DEPTH, MAX_DEPTH + 1, 2000, 100_000):
            outer = depth - one.count("[") - one.count("{")
            text = opened * outer + one + closed * outer
            if depth > MAX_DEPTH:
                with pytest.raises(NotJsonError):
                    canonical(text)
            else:
                assert canonical(text) == (opened * outer).encode() + canonical(one) + (closed * outer).encode()


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert canonical("[" + "[],{}," * 1000 + '"]]"]') == b"[" + b"[],{}," * 1000 + b'"]]"]'


def test_a_value_that_is_too_deep_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]

    with pytest.raises(NotJsonError):
        canonical_of(value)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "[", "]", "{", "[1,]", "[,1]", '{"a"}', '{"a":}', '{"a":1,}', '{"a" 1}', "{1:2}", '{"a":1 "b":2}'),
        *("01", "+1", ".5", "1.", "1e", "0x1", "NaN", "Infinity", "nul", "truefalse", "1 2", "[1}", "{]", "[1 2]"),
        *('"', '"\x01"', '"\\x"', '"\\u12"', "'a'", "\u00a01", "[1] x", "\ufeff1", "१"),
    ],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(NotJsonError):
        canonical(text)
