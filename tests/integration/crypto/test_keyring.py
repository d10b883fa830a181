"""Where a process finds its master keys, and the one the all-in-one makes for itself."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.keyring import add_key, open_envelope
from shared.crypto.master_keys import new_master_key
from shared.process.health import Health
from shared.process.settings import load_settings


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


async def test_a_fresh_key_is_put_before_those_of_the_file_which_still_open(tmp_path: Path) -> None:
    path, settings = tmp_path / "master.key", load_settings({}).master_key
    with pytest.raises(FileNotFoundError, match="at its first start"):
        add_key(path)
    async with AsyncExitStack() as stack:
        before = await open_envelope(settings, Health("up"), stack, own_file=path).seal(b"tide", "x")
        added = add_key(path)
        after = open_envelope(settings, Health("up"), stack, own_file=path)

        assert after.key_ids == (added, before.master_key_id)
        assert await after.open(before, "x") == b"tide"
        assert path.stat().st_mode & 0o777 == 0o600
    kept = path.read_text()
    path.write_text(kept + "damaged\n")
    with pytest.raises(SystemExit, match="is damaged"):
        add_key(path)
    assert path.read_text() == kept + "damaged\n"


@pytest.mark.parametrize(
    ("content", "mode"), [("not 32 bytes", 0o600), (new_master_key(), 0o644)], ids=["damaged", "exposed"]
)
async def test_a_damaged_or_exposed_key_file_is_not_used(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "master.key"
    path.write_text(content)
    path.chmod(mode)
    async with AsyncExitStack() as stack:
        with pytest.raises(SystemExit, match=r"is damaged|read by others") as caught:
            open_envelope(load_settings({}).master_key, Health("up"), stack, own_file=path)
        assert content not in str(caught.value)
