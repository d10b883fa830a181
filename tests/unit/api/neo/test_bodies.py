"""What the Neo dialect takes and refuses, field by field (contracts/neo.md 3.2, 3.4, 3.6, 8)."""

from typing import Any

import orjson
import pytest

from services.api.dialects.neo import bodies
from shared.domain.errors import EmptyBodyError, InvalidCodeError, InvalidRequestError, MalformedBodyError
from shared.domain.function import Convention

GOOD: dict[str, Any] = {"name": "greet", "code": "module.exports = 1", "runtime": "node18"}


def test_the_sample_of_the_document_is_taken() -> None:
    made = bodies.new_function(
        {
            "name": "hello-world",
            "code": "x",
            "runtime": "node16",
            "description": "A simple hello world function",
            "environment": {"LOG_LEVEL": "info"},
            "secrets": ["api-key-1"],
            "tags": ["example", "demo"],
        }
    )

    assert (made.name, made.tags, made.upload.kind, made.upload.content) == (
        "hello-world",
        ("example", "demo"),
        "source",
        b"x",
    )
    spec = made.spec
    assert (spec.runtime, spec.convention, spec.timeout_s, spec.memory_mb) == ("node16", Convention.NEO, 30, 128)
    assert (spec.environment, spec.secrets) == ({"LOG_LEVEL": "info"}, ("api-key-1",))


def test_limits_are_inclusive() -> None:
    made = bodies.new_function(
        {
            **GOOD,
            "name": "a" * 64,
            "code": "ü" * 50_000,
            "timeout": 300,
            "description": "💧" * 500,
            "tags": [*("t" * 63 + chr(97 + number) for number in range(20)), "t" * 63 + "a"],
            "environment": {f"_{number}": "v" for number in range(63)} | {"BIG": "x" * (32 * 1024 - 300)},
            "secrets": [f"s{number}" for number in range(10)],
        }
    )

    assert len(made.tags) == 20
    assert len(made.upload.content) == 100_000


WRONG: dict[str, list[Any]] = {
    "name": ["a b", "a_b", "a" * 65, "", "ä", "a\n", 1, None],
    "code": ["", 1, None, ["x"]],
    "runtime": ["node20", "nodejs18.x", "", 18, None],
    "timeout": [0, 301, 1.5, 30.0, "30", True, None, -1],
    "description": [1, None, "x" * 501, "\0"],
    "environment": [
        [], "x", None, {"A": 1}, {"A": None}, {"1A": "x"}, {"": "x"}, {"A-B": "x"}, {"A": "\0"},
        {f"A{number}": "" for number in range(65)}, {"A": "x" * 32 * 1024},
    ],
    "tags": ["x", None, [1], [""], ["x" * 65], [f"{number}" for number in range(21)], ["\0"]],
    "secrets": ["x", None, [1], [""], ["a b"], ["x" * 101], [f"s{number}" for number in range(11)]],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_bad_field_is_refused_and_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        bodies.new_function({**GOOD, field: value})
    assert raised.value.fields["field"] == field
    assert raised.value.fields["issue"]

    with pytest.raises(InvalidRequestError) as raised:
        bodies.patch({field: value})
    assert raised.value.fields["field"] == field


@pytest.mark.parametrize("field", ["name", "code", "runtime"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        bodies.new_function({name: value for name, value in GOOD.items() if name != field})
    assert raised.value.fields == {"field": field, "issue": "missing"}


@pytest.mark.parametrize("code", ["x" * 100_001, "ü" * 50_001, "a\0b"])
def test_code_that_is_too_large_or_has_nul_is_invalid_code(code: str) -> None:
    with pytest.raises(InvalidCodeError):
        bodies.new_function({**GOOD, "code": code})


def test_a_patch_leaves_alone_what_it_does_not_name() -> None:
    wanted = bodies.patch({"status": "inactive", "tags": []})

    assert (wanted.enabled, wanted.tags) == (False, ())
    assert [wanted.name, wanted.upload, wanted.runtime, wanted.timeout_s, wanted.environment] == [None] * 5


@pytest.mark.parametrize("body", [{}, {"id": "x", "createdAt": "y"}])
def test_a_patch_that_changes_nothing_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        bodies.patch(body)


@pytest.mark.parametrize("status", ["Active", "", True, None, []])
def test_a_status_is_active_or_inactive(status: Any) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        bodies.patch({"status": status})
    assert raised.value.fields["field"] == "status"


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b"1", b'"x"', b"null", b'{"a":\xff}', b"{} x", b"\x1f\x8b\x08", b'{"a":NaN}']
)
def test_a_body_that_is_no_json_object_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedBodyError):
        bodies.read_object(raw)


def test_an_absent_body_is_told_apart() -> None:
    with pytest.raises(EmptyBodyError):
        bodies.read_object(b"")


@pytest.mark.parametrize(
    ("raw", "params", "is_async"),
    [
        (b"", {}, False),
        (b"{}", {}, False),
        (b'{"params":null,"async":true}', {}, True),
        (b'{"params":{"n":[1.5,"\xc3\xbc",null]}}', {"n": [1.5, "ü", None]}, False),
    ],
)
def test_an_invocation_is_read(raw: bytes, params: dict[str, Any], is_async: bool) -> None:
    text, later = bodies.invocation(raw)

    assert (orjson.loads(text), later) == (params, is_async)


@pytest.mark.parametrize("levels", [255, 1000, 100_000])
def test_params_nested_too_deeply_are_a_refusal(levels: int) -> None:
    with pytest.raises(InvalidRequestError):
        bodies.invocation(b'{"params":' + b'{"a":' * levels + b"1" + b"}" * (levels + 1))


def test_of_a_name_given_twice_the_last_counts() -> None:
    assert bodies.invocation(b'{"params":{"a":1,"a":2},"async":true,"params":{"a":3,"a":4}}') == (b'{"a":4}', True)


def test_an_environment_body_is_the_map_or_wraps_it() -> None:
    assert bodies.environment_body({"environment": {"A": "1"}}).environment == {"A": "1"}
    assert bodies.environment_body({"A": "1"}).environment == {"A": "1"}
    assert bodies.environment_body({"environment": {}}).environment == {}
