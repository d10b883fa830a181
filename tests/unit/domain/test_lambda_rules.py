"""What AWS Lambda takes and what it does not, judged by us (contracts/gateways.md sections 4.2 and 5)."""

from collections.abc import Callable

import pytest

from shared.domain import lambda_rules as rules
from shared.domain.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("my func!@2", "my-func-2"),
        ("  thumbs  ", "thumbs"),
        ("--a__b--", "a__b"),
        ("größe", "gr-e"),
        ("a" * 70, "a" * 64),
        ("a" * 63 + "!!b", "a" * 63),
    ],
)
def test_a_name_becomes_one_that_aws_takes(asked: str, made: str) -> None:
    assert rules.cloud_name(asked) == made


@pytest.mark.parametrize("asked", ["", " ", "!!!", "日本"])
def test_a_name_of_which_nothing_is_left_is_refused(asked: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        rules.cloud_name(asked)

    assert caught.value.fields["field"] == "name"


@pytest.mark.parametrize(
    ("check", "good"),
    [(rules.check_memory, (128, 10_240)), (rules.check_timeout, (1, 900)), (rules.check_storage, (512, 10_240))],
)
def test_a_size_is_a_whole_number_within_its_bounds(check: Callable[[object], int], good: tuple[int, int]) -> None:
    low, high = good
    assert [check(low), check(high)] == [low, high]
    for bad in (low - 1, high + 1, str(low), float(low), True, None):
        with pytest.raises(InvalidRequestError):
            check(bad)


def test_an_architecture_is_one_of_two() -> None:
    assert [rules.check_architecture(each) for each in ("x86_64", "arm64")] == ["x86_64", "arm64"]
    for bad in ("mips", None, 64, ["arm64"]):
        with pytest.raises(InvalidRequestError):
            rules.check_architecture(bad)


def test_a_region_has_the_form_of_one() -> None:
    assert [rules.check_region(each) for each in ("eu-west-1", "us-gov-east-1", "ap-southeast-12")]
    for bad in ("", "Europe", "eu-west", "eu-west-1/x", None, "eu-west-1\n"):
        with pytest.raises(InvalidRequestError):
            rules.check_region(bad)


def test_variables_are_texts_by_names_that_a_program_can_read() -> None:
    assert rules.check_environment(None) == {}
    assert rules.check_environment({"MODE": "live", "a1_": ""}) == {"MODE": "live", "a1_": ""}
    wrong: tuple[object, ...] = (
        [],
        "A=1",
        {"1A": "x"},
        {"A-B": "x"},
        {"_A": "x"},
        {"": "x"},
        {"A": 1},
        {"A": None},
        {"A": "a\0b"},
    )
    for bad in wrong:
        with pytest.raises(InvalidRequestError):
            rules.check_environment(bad)


@pytest.mark.parametrize("name", ["AWS_REGION", "LAMBDA_TASK_ROOT", "AWS_SESSION_TOKEN"])
def test_a_variable_that_lambda_sets_itself_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=name):
        rules.check_environment({name: "x"})


def test_variables_may_be_four_kilobytes_together_names_counted() -> None:
    assert rules.check_environment({"A": "x" * 4095})
    with pytest.raises(InvalidRequestError):
        rules.check_environment({"A": "x" * 4096})
    with pytest.raises(InvalidRequestError):
        rules.check_environment({"A": "é" * 2048})


def test_the_refusal_of_a_variable_does_not_tell_its_value() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        rules.check_environment({"TOKEN": "hunter2\0"})

    assert "hunter2" not in f"{caught.value.message}{caught.value.fields}"


def test_a_description_is_short() -> None:
    assert [rules.check_description(each) for each in (None, "", "x" * 256)] == ["", "", "x" * 256]
    for bad in ("x" * 257, 1):
        with pytest.raises(InvalidRequestError):
            rules.check_description(bad)
