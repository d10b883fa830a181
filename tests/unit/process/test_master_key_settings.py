import pytest

from shared.crypto.master_keys import new_master_key
from shared.process.settings import SettingsError, load_settings

ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_master_key_is_not_shown() -> None:
    key = new_master_key()

    settings = load_settings({"TIDEMILL_MASTER_KEY": key})

    assert settings.master_key.master_key is not None
    assert settings.master_key.master_key.reveal() == key
    assert key not in repr(settings)
    assert settings.shown()["TIDEMILL_MASTER_KEY"] == "***"


@pytest.mark.parametrize("key", ["short", f"{new_master_key()},short"], ids=["short", "one good, one short"])
def test_a_bad_master_key_is_told_at_once_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match="TIDEMILL_MASTER_KEY=\\*\\*\\*: expected 32 random bytes") as caught:
        load_settings({"TIDEMILL_MASTER_KEY": key})

    assert key not in str(caught.value)


def test_kms_keys_are_named_by_their_arn() -> None:
    assert load_settings({"TIDEMILL_KMS_KEY_ID": f"{ARN},{ARN}"}).master_key.kms_key_id == f"{ARN},{ARN}"
    with pytest.raises(SettingsError, match="expected the ARN of an AWS KMS key"):
        load_settings({"TIDEMILL_KMS_KEY_ID": "alias/tidemill"})


def test_an_address_of_kms_needs_a_key() -> None:
    with pytest.raises(SettingsError, match="TIDEMILL_KMS_KEY_ID is not: say which key"):
        load_settings({"TIDEMILL_KMS_ENDPOINT": "https://kms.internal"})
