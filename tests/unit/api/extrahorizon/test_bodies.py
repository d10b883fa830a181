"""Bodies of the task service: fields out, or an error that names the field (contracts/extrahorizon.md 3.1)."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.dialects.extrahorizon import bodies
from shared.domain.errors import InvalidPackageError, InvalidRequestError, MissingFieldError, PlatformError
from shared.domain.function import PermissionMode, RetryPolicy

WHOLE = {"name": "greeter", "code": "UEs=", "entryPoint": "index.handler", "runtime": "nodejs20.x"}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    *WHOLE,
    "description",
    "timeLimit",
    "memoryLimit",
    "environmentVariables",
    "executionOptions",
    "retryPolicy",
]


def read(**changes: Any) -> bodies.FunctionFields:
    return bodies.read_new_function(json.dumps({**WHOLE, **changes}).encode())


def test_what_is_not_given_stays_open() -> None:
    assert read() == bodies.FunctionFields(
        name="greeter", code=b"PK", entry_point="index.handler", runtime="nodejs20.x"
    )


def test_options_given_in_part_are_whole_again() -> None:
    fields = read(executionOptions={"defaultPriority": 7}, retryPolicy={"enabled": True})

    assert (fields.permission_mode, fields.default_priority) == (PermissionMode.PERMISSION_REQUIRED, 7)
    assert fields.retry_policy == RetryPolicy(enabled=True)


def test_an_empty_object_of_options_is_given_too() -> None:
    fields = read(executionOptions={})

    assert (fields.permission_mode, fields.default_priority) == (PermissionMode.PERMISSION_REQUIRED, 0)


@pytest.mark.parametrize("missing", list(WHOLE))
def test_a_required_field_that_is_missing_is_named(missing: str) -> None:
    body = {field: value for field, value in WHOLE.items() if field != missing}
    with pytest.raises(MissingFieldError) as caught:
        bodies.read_new_function(json.dumps(body).encode())

    assert caught.value.fields["field"] == missing


def test_a_wrong_field_is_named_down_to_its_member() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(environmentVariables={"A": {"value": 7}})

    assert caught.value.fields["field"] == "environmentVariables.A.value"


@pytest.mark.parametrize("entry_point", ["index.handler", "build/index.handler", "a.b.c", "dir-x/app_1.main"])
def test_entry_points_may_hold_folders(entry_point: str) -> None:
    assert read(entryPoint=entry_point).entry_point == entry_point


@pytest.mark.parametrize(
    "entry_point", ["", "index", ".handler", "index.", "/abs.handler", "a/../../b.c", "a b.c", "x" * 300 + ".y"]
)
def test_an_entry_point_that_leaves_the_package_or_names_no_export_is_refused(entry_point: str) -> None:
    with pytest.raises(InvalidRequestError):
        read(entryPoint=entry_point)


@pytest.mark.parametrize("code", ["", "UEs", "UE s=", "é", "UEs=\n"])
def test_code_that_is_no_base64_is_no_package(code: str) -> None:
    with pytest.raises(InvalidPackageError):
        read(code=code)


def test_a_name_in_a_change_is_ignored_whatever_it_is() -> None:
    assert bodies.read_function_changes(b'{"name":7,"unknown":[]}') == bodies.FunctionFields()


def test_texts_and_lists_have_a_bound() -> None:
    for changes in ({"description": "x" * 10_001}, {"retryPolicy": {"errorsToRetry": ["x"] * 101}}):
        with pytest.raises(InvalidRequestError):
            read(**changes)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_body_is_read_or_refused_never_an_error_of_ours(changes: dict[str, Any]) -> None:
    with suppress(PlatformError):
        read(**changes)
    with suppress(PlatformError):
        bodies.read_function_changes(json.dumps(changes).encode())


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(PlatformError):
        assert isinstance(bodies.read_object(body), dict)
