"""Master keys in AWS KMS, spoken to as AWS speaks."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace

import boto3
import pytest
from moto.server import ThreadedMotoServer

from services.keyring import open_envelope
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import new_master_key
from shared.domain.errors import BrokenSealError, UnavailableError
from shared.process.health import Health
from shared.process.settings import load_settings
from tests.support.platform import free_port

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of a KMS on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")


def new_key(endpoint: str) -> str:
    """Make a key in KMS; return its ARN."""
    client = boto3.client("kms", region_name=REGION, endpoint_url=endpoint)
    arn: str = client.create_key()["KeyMetadata"]["Arn"]
    client.close()
    return arn


def opened(stack: AsyncExitStack, endpoint: str, arns: str, **more: str) -> Envelope:
    environ = {"TIDEMILL_KMS_KEY_ID": arns, "TIDEMILL_KMS_ENDPOINT": endpoint, **more}
    return open_envelope(load_settings(environ).master_key, Health("test"), stack)


async def test_a_value_is_sealed_with_a_key_that_never_leaves_kms(endpoint: str) -> None:
    arn = new_key(endpoint)
    async with AsyncExitStack() as stack:
        sealed = await opened(stack, endpoint, arn).seal(b"tide", "sec_1")

        assert sealed.master_key_id == arn
        assert await opened(stack, endpoint, arn).open(sealed, "sec_1") == b"tide"


async def test_a_data_key_is_bound_to_its_row_by_kms_too(endpoint: str) -> None:
    arn = new_key(endpoint)
    async with AsyncExitStack() as stack:
        sealed = await opened(stack, endpoint, arn).seal(b"tide", "sec_1")
        for changed, row in (
            (sealed, "sec_2"),
            (replace(sealed, wrapped_key=sealed.wrapped_key[:-1] + b"\0"), "sec_1"),
        ):
            with pytest.raises((BrokenSealError, UnavailableError)):
                await opened(stack, endpoint, arn).open(changed, row)


async def test_values_move_from_a_local_key_to_kms_and_to_another_key_of_kms(endpoint: str) -> None:
    local, first, second = new_master_key(), new_key(endpoint), new_key(endpoint)
    async with AsyncExitStack() as stack:
        before = await open_envelope(
            load_settings({"TIDEMILL_MASTER_KEY": local}).master_key, Health("test"), stack
        ).seal(b"tide", "sec_1")
        in_kms = await opened(stack, endpoint, first, TIDEMILL_MASTER_KEY=local).rewrap(before, "sec_1")
        moved = await opened(stack, endpoint, f"{second},{first}").rewrap(in_kms, "sec_1")

        assert (in_kms.master_key_id, moved.master_key_id) == (first, second)
        assert await opened(stack, endpoint, second).open(moved, "sec_1") == b"tide"


async def test_a_kms_that_does_not_answer_is_a_clear_refusal_in_time() -> None:
    arn = f"arn:aws:kms:{REGION}:123456789012:key/1234abcd"
    async with AsyncExitStack() as stack:
        envelope = opened(stack, f"http://127.0.0.1:{free_port()}", arn)

        with pytest.raises(UnavailableError, match="AWS KMS"):
            await envelope.seal(b"tide", "sec_1")


async def test_a_key_kms_does_not_know_is_a_clear_refusal(endpoint: str) -> None:
    arn = f"arn:aws:kms:{REGION}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    async with AsyncExitStack() as stack:
        with pytest.raises(UnavailableError, match="AWS KMS"):
            await opened(stack, endpoint, arn).seal(b"tide", "sec_1")
