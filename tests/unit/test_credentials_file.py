"""The first credentials are made once, kept for their owner alone, and fixed by settings."""

import json
import stat
from pathlib import Path

import pytest

from services.credentials import FILE_NAME, Credentials, first_credentials
from shared.process.settings import load_settings

MADE = load_settings({}).admin


def test_what_is_made_once_stays(tmp_path: Path) -> None:
    made = first_credentials(tmp_path / "data", MADE)

    assert first_credentials(tmp_path / "data", MADE) == made
    assert stat.S_IMODE((tmp_path / "data" / FILE_NAME).stat().st_mode) == 0o600
    secrets = {made.password, made.api_key, made.oauth_client_id, made.oauth1_consumer_key, made.oauth1_consumer_secret}
    assert len(secrets) == 5
    assert not [secret for secret in secrets if secret in repr(made)]


def test_what_a_newer_version_adds_is_made_and_the_rest_stays(tmp_path: Path) -> None:
    old = {"email": "a@b.c", "password": "kept", "api_key": "sl_kept", "oauth_client_id": "kept"}
    (tmp_path / FILE_NAME).write_text(json.dumps(old))

    credentials = first_credentials(tmp_path, MADE)

    assert {name: getattr(credentials, name) for name in old} == old
    assert len(credentials.oauth1_consumer_secret) == 40
    assert Credentials(**json.loads((tmp_path / FILE_NAME).read_text())) == credentials


def test_settings_win_and_are_written_down(tmp_path: Path) -> None:
    before = first_credentials(tmp_path, MADE)
    given = load_settings({"TIDEMILL_OAUTH1_CONSUMER_KEY": "ck", "TIDEMILL_OAUTH1_CONSUMER_SECRET": "cs"}).admin

    fixed = first_credentials(tmp_path, given)

    assert (fixed.oauth1_consumer_key, fixed.oauth1_consumer_secret) == ("ck", "cs")
    assert fixed.api_key == before.api_key
    assert first_credentials(tmp_path, MADE) == fixed


@pytest.mark.parametrize("text", ["", "{", "[]", '{"password": 1}', '{"unknown": "x"}'])
def test_a_damaged_file_is_told_and_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)

    with pytest.raises(SystemExit, match="damaged"):
        first_credentials(tmp_path, MADE)

    assert (tmp_path / FILE_NAME).read_text() == text
