import re
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.invoker.host_services.errors import InvalidArgumentError, ServiceUnavailableError
from services.invoker.host_services.random import Random
from shared.crypto.canonical import canonical_of
from shared.crypto.signing import SigningKey

KEY = SigningKey.new()


async def call(method: str, *arguments: Any, key: SigningKey | None = KEY) -> Any:
    return await Random(lambda: key).methods()[method](list(arguments))


async def test_a_thousand_draws_stay_inside_and_reach_both_ends() -> None:
    drawn = [(await call("generate", {"min": -3, "max": 6}))["number"] for _ in range(1000)]

    assert set(drawn) == set(range(-3, 7))
    # Each of ten values is expected a hundred times; one in a billion of fair generators strays as far as this.
    assert all(40 < drawn.count(value) < 170 for value in range(-3, 7))


async def test_the_proof_is_the_keys_signature_of_the_rest_of_the_answer() -> None:
    answer = await call("generate", {"min": 1, "max": 6})
    proof = bytes.fromhex(answer.pop("proof"))
    public = Ed25519PublicKey.from_public_bytes(KEY.public_key)

    assert set(answer) == {"number", "requestId", "timestamp"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["timestamp"])
    public.verify(proof, canonical_of(answer))
    with pytest.raises(InvalidSignature):
        public.verify(proof, canonical_of({**answer, "number": answer["number"] + 1}))


async def test_every_answer_has_an_id_of_its_own() -> None:
    assert len({(await call("generate", {"min": 0, "max": 0}))["requestId"] for _ in range(50)}) == 50


@pytest.mark.parametrize("end", [2**53 - 1, -(2**53 - 1), 0])
async def test_a_range_of_one_has_one_number(end: int) -> None:
    assert (await call("generate", {"min": end, "max": end}))["number"] == end


async def test_the_whole_range_of_safe_integers_can_be_drawn_from() -> None:
    drawn = {(await call("generate", {"min": -(2**53 - 1), "max": 2**53 - 1}))["number"] for _ in range(20)}

    assert len(drawn) == 20
    assert all(abs(number) < 2**53 for number in drawn)


@pytest.mark.parametrize(
    "given",
    [None, {}, 5, {"min": 1}, {"max": 1}, {"min": 2, "max": 1}, {"min": 0, "max": 2**53}, {"min": -(2**53), "max": 0},
     {"min": 0.5, "max": 1}, {"min": "0", "max": 1}, {"min": True, "max": 5}, {"min": None, "max": 5}],
)  # fmt: skip
async def test_a_range_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(InvalidArgumentError):
        await call("generate", given)


async def test_bytes_come_as_hex() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", await call("bytes", 32))
    assert len(await call("bytes", 1024)) == 2048
    assert await call("bytes", 16) != await call("bytes", 16)


@pytest.mark.parametrize("given", [None, -1, 1025, 1.5, "8", True, {}])
async def test_a_number_of_bytes_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(InvalidArgumentError):
        await call("bytes", given)


async def test_without_a_key_nothing_is_stated_and_bytes_are_still_given() -> None:
    with pytest.raises(ServiceUnavailableError, match="no key"):
        await call("generate", {"min": 1, "max": 6}, key=None)
    assert len(await call("bytes", 4, key=None)) == 8
