"""
The master keys of a process, from its settings or, in the all-in-one, from ``<data-dir>/master.key``.

Order of what wraps: the first AWS KMS key set, else the first of ``TIDEMILL_MASTER_KEY``, else the first in the
file. All that are known still unwrap. Only the all-in-one makes a key of its own, once, with mode 0600: separate
services could not share it. Without any they start, and say that nothing can be sealed.
"""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing, LocalMasterKey, MasterKey, new_master_key, parse_master_keys
from shared.domain.errors import UnavailableError
from shared.process.health import Health
from shared.process.settings import MasterKeySettings

FILE_NAME = "master.key"
MEANING = "secrets can be neither kept nor given to functions, and nobody can sign requests (OAuth 1.0)"
FIX = (
    "set TIDEMILL_MASTER_KEY (openssl rand -base64 32) or TIDEMILL_KMS_KEY_ID, the same for migrate and all services "
    "but the logger"
)
NO_MASTER_KEY = f"no master key: {MEANING}; {FIX}"
_OWNER_ONLY = 0o600
_OTHERS = 0o077

log = structlog.get_logger(__name__)


def open_envelope(
    settings: MasterKeySettings, health: Health, stack: AsyncExitStack, *, own_file: Path | None = None
) -> Envelope:
    """
    Return the envelope of this process; closing is on the stack.

    ``own_file`` is where the all-in-one keeps its own key; it is made when there is no other.

    Raises:
        SystemExit: the file is damaged, or others may read it.
    """
    keys = list(_kms_keys(settings, stack))
    keys += _local(settings.master_key.reveal() if settings.master_key is not None else "")
    if own_file is not None:
        keys += _own_keys(own_file, make=not keys)
    envelope = Envelope(KeyRing(keys))
    if not envelope.key_ids:
        log.error("master_key_missing", meaning=NO_MASTER_KEY)

    async def master_key() -> dict[str, str]:
        if not envelope.key_ids:
            raise UnavailableError(NO_MASTER_KEY)
        return {"current": envelope.key_ids[0]}

    health.add("master_key", master_key, readiness=False)
    return envelope


def add_key(own_file: Path) -> str:
    """
    Put a fresh key before those the all-in-one keeps; return its id. It wraps from the next start on.

    Raises:
        OSError: there is no such file yet.
    """
    if not own_file.exists():
        raise FileNotFoundError(f"there is no {own_file}: `up` makes it at its first start, if no other key is set")
    _own_keys(own_file, make=False)  # nothing is added to what is damaged
    kept = own_file.read_text("ascii").split()
    fresh = new_master_key()
    _write(own_file, "\n".join((fresh, *kept, "")), replace=True)
    return _local(fresh)[0].id


def where_from(settings: MasterKeySettings, own_file: Path) -> str:
    """Return which master key wraps, and where it comes from; empty when there is none yet."""
    if settings.kms_key_id is not None:
        return f"AWS KMS {settings.kms_key_id.partition(',')[0]}"
    if settings.master_key is not None:
        return f"{_local(settings.master_key.reveal())[0].id}, from TIDEMILL_MASTER_KEY"
    if own_file.exists():
        return f"{_own_keys(own_file, make=False)[0].id}, from {own_file}, for `up` alone: keep a copy of it"
    return ""


def _kms_keys(settings: MasterKeySettings, stack: AsyncExitStack) -> Sequence[MasterKey]:
    if settings.kms_key_id is None:
        return []
    from shared.crypto.kms import connect_keys  # noqa: PLC0415 - boto3 is 30 MB nobody else should pay for

    keys, clients = connect_keys(settings.kms_key_id.split(","), settings.kms_endpoint)
    for client in clients:
        stack.push_async_callback(client.close)
    return keys


def _local(text: str) -> list[LocalMasterKey]:
    return [LocalMasterKey(key) for key in parse_master_keys(text)] if text else []


def _own_keys(path: Path, *, make: bool) -> list[LocalMasterKey]:
    if not path.exists():
        if not make:
            return []
        _write(path, new_master_key() + "\n")
        log.info("master_key_made", path=str(path), advice="keep a copy: without it no secret can be read")
    if path.stat().st_mode & _OTHERS:
        raise SystemExit(f"{path} may be read by others than its owner: chmod 600 {path}")
    try:
        return _local(",".join(path.read_text("ascii").split()))
    except ValueError as error:
        raise SystemExit(
            f"{path} is damaged ({error}); restore it from a backup: without it no secret in the database can be read"
        ) from error


def _write(path: Path, text: str, *, replace: bool = False) -> None:
    """Write whole or not at all; never over a key that is there unless told to: it cannot be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if replace:
        draft.replace(path)
    else:
        os.link(draft, path)
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
