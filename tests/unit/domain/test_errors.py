from dataclasses import replace

import pytest

from shared.domain import cloud_errors, errors, login_errors, user_errors
from shared.domain.errors import (
    ErrorRecord,
    Fault,
    InternalError,
    Kind,
    NotFoundError,
    PlatformError,
    every_error,
    revive,
)

KNOWN = sorted(every_error().values(), key=lambda known: known.code)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.code)
def test_an_error_comes_back_from_its_record_as_it_was(known: type[PlatformError]) -> None:
    error = known("what happened", field="name", limit=3)

    revived = revive(error.record())

    assert type(revived) is known
    assert (revived.message, str(revived), revived.fields) == ("what happened", "what happened", error.fields)
    assert revived.record() == error.record()


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.code)
def test_an_error_says_what_it_is(known: type[PlatformError]) -> None:
    assert known.__doc__
    assert known.kind in Kind
    assert known.fault in Fault
    assert known.__name__.endswith("Error")


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.code)
def test_only_what_the_platform_could_not_do_is_its_fault(known: type[PlatformError]) -> None:
    ours = known.kind in {Kind.UNAVAILABLE, Kind.INTERNAL, Kind.TIMEOUT}

    assert known.fault is (Fault.PLATFORM if ours else Fault.CALLER)


def test_every_error_stands_in_the_drawing() -> None:
    drawing = "\n".join(str(module.__doc__) for module in (errors, cloud_errors, login_errors, user_errors))
    drawn = {word for line in drawing.splitlines() for word in line.split() if "." in word}

    assert set(every_error()) <= drawn


def test_a_code_is_given_once() -> None:
    with pytest.raises(TypeError, match="taken by NotFoundError"):
        type("AnotherError", (PlatformError,), {"code": NotFoundError.code})

    assert every_error()[NotFoundError.code] is NotFoundError


@pytest.mark.parametrize("kind", list(Kind))
def test_an_unknown_code_becomes_an_error_of_its_kind(kind: Kind) -> None:
    record = ErrorRecord(code="made.tomorrow", kind=kind, message="new", fields={"a": 1})

    revived = revive(record)

    assert (revived.kind, revived.message, revived.fields) == (kind, "new", {"a": 1})


def test_an_unknown_kind_is_our_own_failure() -> None:
    record = ErrorRecord(code="made.tomorrow", kind="made tomorrow", message="new")

    assert type(revive(record)) is InternalError
    assert type(revive(replace(record, kind=Kind.INTERNAL))).kind is Kind.INTERNAL
