"""
Identifiers.

Execution, API request and other record ids are 12 bytes written as 24 lower-case hex digits: 4 bytes of
seconds since the epoch, 5 random bytes of the process, 3 bytes of a counter. They sort by creation, and
their leading digits tell the day partition a record lives in (contracts/extrahorizon.md section 9).
Ids of functions are ``func_``, of keys ``key_``, of secrets ``sec_``, plus 10 of ``[a-z0-9]`` (contracts/neo.md
section 5).
"""

import itertools
import os
import re
import secrets
import string
import time
from datetime import UTC, datetime

_ALPHABET = string.ascii_lowercase + string.digits
_RECORD_ID = re.compile(r"[0-9a-f]{24}")
_COUNTER_MASK = 0xFFFFFF

_process = secrets.token_bytes(5).hex()
_counter = itertools.count(secrets.randbelow(_COUNTER_MASK))


def _renew_after_fork() -> None:
    global _process  # noqa: PLW0603 - the one piece of process identity, renewed where the process is
    _process = secrets.token_bytes(5).hex()


os.register_at_fork(after_in_child=_renew_after_fork)


def new_record_id() -> str:
    """Return a fresh 24-hex, time-ordered id."""
    return f"{int(time.time()):08x}{_process}{next(_counter) & _COUNTER_MASK:06x}"


def is_record_id(text: str) -> bool:
    """Tell whether ``text`` has the form of a record id."""
    return _RECORD_ID.fullmatch(text) is not None


def record_time(record_id: str) -> datetime:
    """Return the second at which a record id was made."""
    return datetime.fromtimestamp(int(record_id[:8], 16), UTC)


def first_id_at(moment: datetime) -> str:
    """Return the smallest record id of the given second: a bound for ranges and partitions."""
    return f"{int(moment.timestamp()):08x}{'0' * 16}"


def _short(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(10))


def new_function_id() -> str:
    """Return a fresh function id, ``func_`` + 10."""
    return _short("func_")


def new_key_id() -> str:
    """Return a fresh API key id, ``key_`` + 10."""
    return _short("key_")


def new_secret_id() -> str:
    """Return a fresh secret id, ``sec_`` + 10."""
    return _short("sec_")
