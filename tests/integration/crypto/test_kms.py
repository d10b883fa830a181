"""Master keys in AWS KMS, spoken to as AWS speaks."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from structlog.testing import capture_logs

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


async def test_without_a_key_the_process_starts_and_says_so(tmp_path: Path) -> None:
    health = Health("api")
    async with AsyncExitStack() as stack:
        with capture_logs() as said:
            open_envelope(load_settings({}).master_key, health, stack)

        [line] = said
        assert (line["log_level"], line["event"]) == ("error", "master_key_missing")
        assert "secrets can be neither kept nor given to functions" in line["meaning"]

        report = await health.health()
        assert report.body["status"] == "degraded"
        assert "TIDEMILL_MASTER_KEY" in str(report.body["checks"])
        assert (await health.ready()).ok


async def test_the_all_in_one_makes_its_own_key_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "master.key"
    settings = load_settings({}).master_key
    async with AsyncExitStack() as stack:
        sealed = await open_envelope(settings, Health("up"), stack, own_file=path).seal(b"tide", "sec_1")
        kept = path.read_bytes()
        again = open_envelope(settings, Health("up"), stack, own_file=path)

        assert await again.open(sealed, "sec_1") == b"tide"
        assert path.read_bytes() == kept
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(path.parent.iterdir()) == [path]


async def test_a_key_from_the_settings_comes_first_and_the_file_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    async with AsyncExitStack() as stack:
        before = await open_envelope(load_settings({}).master_key, Health("up"), stack, own_file=path).seal(b"t", "x")
        given = load_settings({"TIDEMILL_MASTER_KEY": new_master_key()}).master_key
        both = open_envelope(given, Health("up"), stack, own_file=path)

        assert await both.open(before, "x") == b"t"
        assert both.current_id != before.master_key_id


@pytest.mark.parametrize(("content", "mode"), [("not 32 bytes", 0o600), (new_master_key(), 0o644)])
async def test_a_damaged_or_exposed_key_file_is_not_used(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "master.key"
    path.write_text(content)
    path.chmod(mode)
    async with AsyncExitStack() as stack:
        with pytest.raises(SystemExit, match=r"is damaged|read by others") as caught:
            open_envelope(load_settings({}).master_key, Health("up"), stack, own_file=path)
        assert content not in str(caught.value)
