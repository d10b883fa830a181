"""
The first credentials: made once, kept in ``<data-dir>/credentials.json`` with mode 0600, or fixed by settings.

A value given by a setting wins and is written down; the others are made from the operating system's random
source at the first start and stay the same ever after. The file is the only place the plain values are kept:
the database has hashes, and what signs requests sealed. What a newer version adds is made when it is missing.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import cast

from shared.crypto.tokens import new_api_key
from shared.process.settings import AdminSettings

FILE_NAME = "credentials.json"
_DEFAULT_EMAIL = "admin@tidemill.local"
_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The first user's plain credentials. Never logged; the repr hides them."""

    email: str
    password: str
    api_key: str
    oauth_client_id: str
    oauth1_consumer_key: str
    oauth1_consumer_secret: str

    def __repr__(self) -> str:
        return f"Credentials(email={self.email!r}, …)"


def first_credentials(directory: Path, given: AdminSettings) -> Credentials:
    """Return the first credentials: what settings fix, else what the file has, else new ones, written down."""
    path = directory / FILE_NAME
    known = _read(path)
    credentials = _fix(Credentials(**{**asdict(_make()), **known}), given)
    if asdict(credentials) != known:
        _write(path, credentials)
    return credentials


def _make() -> Credentials:
    return Credentials(
        email=_DEFAULT_EMAIL,
        password=secrets.token_urlsafe(18),
        api_key=new_api_key(),
        oauth_client_id=secrets.token_hex(20),
        oauth1_consumer_key=secrets.token_hex(20),
        oauth1_consumer_secret=secrets.token_hex(20),
    )


def _fix(credentials: Credentials, given: AdminSettings) -> Credentials:
    return replace(
        credentials,
        email=given.email or credentials.email,
        password=given.password.reveal() if given.password is not None else credentials.password,
        api_key=given.api_key.reveal() if given.api_key is not None else credentials.api_key,
        oauth_client_id=given.oauth_client_id or credentials.oauth_client_id,
        oauth1_consumer_key=given.oauth1_consumer_key or credentials.oauth1_consumer_key,
        oauth1_consumer_secret=given.oauth1_consumer_secret.reveal()
        if given.oauth1_consumer_secret is not None
        else credentials.oauth1_consumer_secret,
    )


def _read(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text("utf-8"))
        unknown = known.keys() - {each.name for each in fields(Credentials)}
        if unknown or not all(isinstance(value, str) for value in known.values()):
            raise ValueError(f"unknown or no text: {sorted(unknown)}")
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise SystemExit(
            f"{path} is damaged ({error}); restore it, or remove it to have new credentials made"
        ) from error
    return cast("dict[str, str]", known)


def _write(path: Path, credentials: Credentials) -> None:
    """Write whole or not at all: a crash must not leave half a file, and nobody else may ever read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
