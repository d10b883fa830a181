"""RQL as text: what contracts/extrahorizon.md section 8 says clients may send, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.dialects.extrahorizon.rql import MAX_CHARACTERS, MAX_DEPTH, Call, decoded_value, parse
from shared.domain.errors import InvalidQueryError


def call(name: str, *args: str | tuple[str, ...] | Call) -> Call:
    return Call(name, args)


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", ()),
        ("eq(a,b)", (call("eq", "a", "b"),)),
        ("eq(a,)", (call("eq", "a", ""),)),
        ("eq(a,b)&gt(c,1)&sort(-d,+e,f)", (call("eq", "a", "b"), call("gt", "c", "1"), call("sort", "-d", "+e", "f"))),
        ("eq(a,b)|eq(a,c)", (call("or", call("eq", "a", "b"), call("eq", "a", "c")),)),
        ("a=b", (call("eq", "a", "b"),)),
        ("a!=b", (call("ne", "a", "b"),)),
        ("a<1&a<=2", (call("lt", "a", "1"), call("le", "a", "2"))),
        ("a>1&a>=2", (call("gt", "a", "1"), call("ge", "a", "2"))),
        ("a=ge=2", (call("ge", "a", "2"),)),
        ("a=in=(1,2)", (call("in", "a", ("1", "2")),)),
        ("in(a,1,2)", (call("in", "a", "1", "2"),)),
        ("in(a,(1,2))", (call("in", "a", ("1", "2")),)),
        ("(a=1|b=2)&c=3", (call("or", call("eq", "a", "1"), call("eq", "b", "2")), call("eq", "c", "3"))),
        (
            "or(eq(a,1),and(b=2,c>3))",
            (call("or", call("eq", "a", "1"), call("and", call("eq", "b", "2"), call("gt", "c", "3"))),),
        ),
        ("and(eq(a,1),sort(-a),limit(5,10))", (call("eq", "a", "1"), call("sort", "-a"), call("limit", "5", "10"))),
        ("contains(error)", (call("contains", "error"),)),
        ("contains(a,and(gt(b,1)))", (call("contains", "a", call("and", call("gt", "b", "1"))),)),
        ("skipCount()", (call("skipCount"),)),
        ("eq(a.b.5,x)", (call("eq", "a.b.5", "x"),)),
        ("eq(path,/a?b=c)", (call("eq", "path", "/a?b=c"),)),
        ("sort(+timestamp)", (call("sort", "+timestamp"),)),
        ("timestamp%3E%3D2024", (call("ge", "timestamp", "2024"),)),
        ("eq(functionName,my%2520fn%252D1)", (call("eq", "functionName", "my%20fn%2D1"),)),
        ("unheard_of(a,b)", (call("unheard_of", "a", "b"),)),
    ],
)
def test_every_form_becomes_calls(query: str, terms: tuple[Call, ...]) -> None:
    assert parse(query) == terms


@pytest.mark.parametrize(
    "query",
    [
        "eq(a,b",
        "eq(a,b))",
        "eq(a,b)&",
        "&eq(a,b)",
        "eq(a,b)&&eq(a,b)",
        "a=1&b=2|c=3",
        "a=1|b=2&c=3",
        "justtext",
        "=b",
        "(",
        ")",
        "()",
        "a=1,b=2",
        "eq(a,b)eq(c,d)",
        "e q(a,b)",
        "and(text)",
        "in(a,(1,2)",
        "eq(a,%ff)",
        "eq(a,%00)",
        "eq(a,\udce9)",
        "(" * (MAX_DEPTH + 1) + "a=1" + ")" * (MAX_DEPTH + 1),
        "a=" + "b" * MAX_CHARACTERS,
    ],
)
def test_what_is_no_rql_is_refused(query: str) -> None:
    with pytest.raises(InvalidQueryError):
        parse(query)


@pytest.mark.parametrize(
    ("once", "value"),
    [
        ("my%20fn%2D1", "my fn-1"),
        ("2024%2D05%2D01T10%3A00%3A00%2E000Z", "2024-05-01T10:00:00.000Z"),
        ("a+b", "a+b"),
        ("plain", "plain"),
        ("100%", "100%"),
    ],
)
def test_a_value_is_decoded_a_second_time_and_a_plus_stays_a_plus(once: str, value: str) -> None:
    assert decoded_value(once) == value


def test_a_nul_character_hidden_by_two_encodings_is_refused() -> None:
    with pytest.raises(InvalidQueryError):
        decoded_value("%00")


def sdk_encoded(value: str) -> str:
    """Encode as the SDK's builder does: every character that is no letter or digit, twice."""
    once = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}" for byte in value.encode())
    return once.replace("%", "%25")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_survives_the_clients_encoding(value: str) -> None:
    (term,) = parse(f"eq(name,{sdk_encoded(value)})")

    assert isinstance(term.args[1], str)
    assert decoded_value(term.args[1]) == value


NAMES = st.text("abcdefgh", min_size=1, max_size=6)
VALUES = st.text("abc019 -_:/.", max_size=6)
TERMS = st.recursive(
    st.builds(
        lambda name, field, value: Call(name, (field, value)), st.sampled_from(["eq", "gt", "like"]), NAMES, VALUES
    ),
    lambda inner: st.builds(
        lambda name, terms: Call(name, tuple(terms)),
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=2, max_size=3),
    ),
    max_leaves=6,
)


def written(term: Call) -> str:
    args = (written(arg) if isinstance(arg, Call) else str(arg) for arg in term.args)
    return f"{term.name}({','.join(args)})"


@given(st.lists(TERMS, min_size=2, max_size=3))
def test_what_is_written_is_read_back(terms: list[Call]) -> None:
    assert parse("&".join(written(term) for term in terms)) == tuple(terms)


@given(st.text("abc=<>!(),&|%25+-.:0 ", max_size=60))
def test_any_text_is_read_or_refused_never_an_error_of_ours(query: str) -> None:
    try:
        terms = parse(query)
    except InvalidQueryError:
        return
    assert all(isinstance(term, Call) for term in terms)
