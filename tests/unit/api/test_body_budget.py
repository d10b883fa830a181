import pytest

from services.api.body_budget import BodyBudget
from shared.domain.errors import UnavailableError


def test_bodies_share_one_budget_and_give_back_what_they_took() -> None:
    budget = BodyBudget(limit_bytes=10)
    first, second = budget.open(), budget.open()
    first.take(4)
    first.take(3)
    second.take(3)

    with pytest.raises(UnavailableError):
        second.take(1)
    first.release()
    first.release()
    second.take(7)

    assert budget.held_bytes == 10
    second.release()
    assert budget.held_bytes == 0


def test_what_is_only_announced_takes_nothing_but_must_fit() -> None:
    budget = BodyBudget(limit_bytes=10)
    held = budget.open()
    held.expect(10)
    held.take(4)

    with pytest.raises(UnavailableError):
        held.expect(7)
    assert budget.held_bytes == 4


def test_a_refused_byte_is_not_charged() -> None:
    budget = BodyBudget(limit_bytes=10)
    held = budget.open()

    with pytest.raises(UnavailableError):
        held.take(11)
    held.take(10)

    assert budget.left_bytes == 0
