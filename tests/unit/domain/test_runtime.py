"""The catalogue of runtimes."""

import pytest

from shared.domain.errors import InvalidRequestError
from shared.domain.function import Convention
from shared.domain.runtime import RUNTIMES, Family, offered, require_runtime


def test_each_convention_offers_its_own_names() -> None:
    assert offered(Convention.NEO) == ("node16", "node18")
    assert {"nodejs24.x", "nodejs16.x", "python3.8", "python3.14"} <= set(offered(Convention.LAMBDA))
    assert set(offered(Convention.NEO)) | set(offered(Convention.LAMBDA)) == set(RUNTIMES)


def test_a_name_tells_the_interpreter() -> None:
    assert require_runtime("nodejs20.x", Convention.LAMBDA).family is Family.NODE
    assert require_runtime("python3.12", Convention.LAMBDA).family is Family.PYTHON
    assert require_runtime("node18", Convention.NEO).family is Family.NODE


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
