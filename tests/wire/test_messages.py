"""Every message ever written decodes for ever; what is written now is what the newest golden shows, byte for byte."""

import dataclasses

import pytest

from shared.messages import codec
from shared.messages.messages import MESSAGES, Message
from tests.wire.samples import SAMPLES, Golden, goldens, newest


@pytest.mark.parametrize("golden", goldens(), ids=lambda golden: f"{golden.type}.v{golden.version}.{golden.number}")
def test_every_golden_decodes(golden: Golden) -> None:
    message = codec.decode(golden.body)

    assert (golden.type, golden.version) == (message.TYPE, message.VERSION)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.TYPE)
def test_what_is_encoded_now_equals_the_newest_golden(sample: Message) -> None:
    golden = newest(sample)

    assert golden is not None, "append it: python -m tests.wire.samples"
    assert codec.encode(sample) == golden.body, "a compatible change? append it: python -m tests.wire.samples"
    assert codec.decode(golden.body) == sample


def test_every_message_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(MESSAGES)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.TYPE)
def test_a_sample_sets_every_field_that_has_a_default(sample: Message) -> None:
    for field in dataclasses.fields(sample):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()

        assert getattr(sample, field.name) != default, f"{field.name} would not show in the golden"
