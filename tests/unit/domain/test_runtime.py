"""The catalogue of runtimes."""

import pytest

from shared.domain.errors import InvalidRequestError
from shared.domain.function import Convention
from shared.domain.runtime import RUNTIMES, Family, offered, require_runtime


def test_each_convention_offers_its_own_names() -> None:
    assert offered(Convention.NEO) == ("node16", "node18")
    assert {"nodejs24.x", "nodejs16.x", "python3.8", "python3.14", "provided.al2023", "provided.al2"} <= set(
        offered(Convention.LAMBDA)
    )
    assert set(offered(Convention.NEO)) | set(offered(Convention.LAMBDA)) == set(RUNTIMES)


def test_a_name_tells_the_interpreter() -> None:
    assert require_runtime("nodejs20.x", Convention.LAMBDA).family is Family.NODE
    assert require_runtime("python3.12", Convention.LAMBDA).family is Family.PYTHON
    for name, convention in (("node18", Convention.NEO), ("nodejs18.x", Convention.LAMBDA)):
        assert require_runtime(name, convention).family is Family.NODE18
    assert require_runtime("nodejs16.x", Convention.LAMBDA).family is Family.NODE16


@pytest.mark.parametrize(
    ("name", "version", "real"),
    [
        ("node16", "16.20.2", True), ("node16", "24.19.0", False), ("nodejs18.x", "18.20.8", True),
        ("nodejs20.x", "24.19.0", False), ("python3.11", "3.11.2", True), ("python3.11", "3.1.1", False),
    ],
)  # fmt: skip
def test_a_name_promises_a_version(name: str, version: str, *, real: bool) -> None:
    assert RUNTIMES[name].is_real(version) is real


@pytest.mark.parametrize(
    ("name", "convention"),
    [
        ("java21", Convention.LAMBDA), ("nodejs20", Convention.LAMBDA), ("python2.7", Convention.LAMBDA),
        ("node18", Convention.LAMBDA), ("nodejs18.x", Convention.NEO), ("", Convention.NEO),
    ],
)  # fmt: skip
def test_what_is_not_offered_is_refused_with_what_is(name: str, convention: Convention) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        require_runtime(name, convention)

    assert raised.value.fields["field"] == "runtime"
    assert all(each in raised.value.message for each in offered(convention))
