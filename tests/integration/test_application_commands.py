"""``./tidemill application``: what an operator does about OAuth applications."""

import asyncio

import pytest

from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing, LocalMasterKey, parse_master_keys
from shared.crypto.tokens import sha256_hex
from shared.database import applications
from tests.integration.shell import Operator

MASTER_KEY = "5eed" * 16


@pytest.fixture
def operator(database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(database_url, capsys, monkeypatch)


def values(printed: list[str]) -> list[str]:
    """Return what was printed behind the words: id, key, secret."""
    return [line.split()[1] for line in printed]


def test_a_public_application_has_a_key_and_no_secret(operator: Operator) -> None:
    id_, key = values(operator.run("application", "add", "my app", "--redirect-uri", "http://localhost:3000/back"))

    client = operator.ask(lambda db: applications.find_client(db, key))
    assert client is not None
    assert (client.id, client.confidential, client.client_secret_sha256) == (id_, False, None)
    assert client.redirect_uris == ("http://localhost:3000/back",)
    assert client.environment_id == operator.first.environment.id


def test_of_a_confidential_applications_secret_a_digest_is_kept(operator: Operator) -> None:
    _, key, secret = values(operator.run("application", "add", "my app", "--confidential"))

    client = operator.ask(lambda db: applications.find_client(db, key))
    assert client is not None
    assert (client.confidential, client.client_secret_sha256) == (True, sha256_hex(secret))


def test_the_secret_of_an_application_that_signs_is_sealed_under_the_master_key(operator: Operator) -> None:
    operator.settings["TIDEMILL_MASTER_KEY"] = MASTER_KEY
    id_, key, secret = values(operator.run("application", "add", "my tool", "--type", "oauth1"))

    consumer = operator.ask(lambda db: applications.find_consumer(db, key))
    assert consumer is not None
    assert consumer.application_id == id_
    envelope = Envelope(KeyRing([LocalMasterKey(key) for key in parse_master_keys(MASTER_KEY)]))
    assert asyncio.run(envelope.open(consumer.sealed, consumer.version_id)).decode() == secret


def test_without_a_master_key_no_application_that_signs_is_made(operator: Operator) -> None:
    assert "master key" in operator.refused("application", "add", "my tool", "--type", "oauth1")

    assert len(operator.run("application", "list")) == 1


def test_applications_are_listed_with_their_keys_and_removed(operator: Operator) -> None:
    id_, key = values(operator.run("application", "add", "my app"))

    assert f"{id_}  oauth2  my app  {key}" in operator.run("application", "list")
    operator.run("application", "remove", id_)
    assert operator.ask(lambda db: applications.find_client(db, key)) is None
    assert f"no application {id_}" in operator.refused("application", "remove", id_)
