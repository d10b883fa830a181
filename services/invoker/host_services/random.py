"""
``services.random``: numbers from the operating system's generator, signed by the platform's key.

The signature shows who stated the number, not that it was not chosen: it is no verifiable random function.
"""

import secrets
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from services.invoker.host_services import arguments as read
from services.invoker.host_services.errors import InvalidArgumentError, ServiceUnavailableError
from services.invoker.host_services.services import Method
from shared.crypto.canonical import canonical_of
from shared.crypto.signing import SigningKey

_MOST_BYTES = 1024


class Random:
    """Draws numbers. While ``key`` gives none only bytes can be had: they carry no proof."""

    def __init__(self, key: Callable[[], SigningKey | None]) -> None:
        self._key = key

    def methods(self) -> Mapping[str, Method]:
        """Return what functions may call."""
        return {"generate": self._generate, "bytes": self._bytes}

    async def _generate(self, arguments: list[Any]) -> dict[str, Any]:
        key = self._key()
        if key is None:
            raise ServiceUnavailableError("there is no key to sign random numbers with")
        given = read.fields(read.first(arguments), "{min: 1, max: 6}")
        low = read.whole(given.get("min"), "min", -read.MOST_SAFE, read.MOST_SAFE)
        high = read.whole(given.get("max"), "max", -read.MOST_SAFE, read.MOST_SAFE)
        if low > high:
            raise InvalidArgumentError("min is greater than max")
        answer = {
            "number": low + secrets.randbelow(high - low + 1),
            "requestId": str(uuid.uuid4()),
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return {**answer, "proof": key.sign(canonical_of(answer)).hex()}

    async def _bytes(self, arguments: list[Any]) -> str:
        return secrets.token_hex(read.whole(read.first(arguments), "the number of bytes", 0, _MOST_BYTES))
