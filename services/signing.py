"""
The key this platform signs with, as one process holds it.

Made once, by whichever process needs it first, and kept sealed in the database; all processes of the platform sign
with the same one. A key that cannot be had (no master key, a broken seal, the database away) is no reason to fail
a run: there is none then, ``/health`` says why, and it is asked for again. A second one is never made beside a key
that does not open: that is for an operator to decide (``./tidemill signing-key rotate``).
"""

import structlog

from shared.crypto.envelope import Envelope
from shared.crypto.signing import SigningKey
from shared.database import signing_keys
from shared.database.pool import Database
from shared.database.signing_keys import SealedKey
from shared.domain.errors import BrokenSealError, UnavailableError

REFRESH_S = 30.0
"""How often a process looks whether another key is in use; until then it signs with the one it has."""

logger = structlog.get_logger(__name__)


class ServiceKey:
    """
    The signing key of one process, or why there is none.

    ``current`` costs nothing and may change from call to call. Whoever makes one of these sees to it that
    ``refresh`` is called every ``REFRESH_S``.
    """

    def __init__(self, db: Database, envelope: Envelope) -> None:
        self._db = db
        self._envelope = envelope
        self._key: SigningKey | None = None
        self._problem = "the signing key has not been looked for yet"

    @property
    def current(self) -> SigningKey | None:
        """The key to sign with; None when there is none to be had."""
        return self._key

    async def refresh(self) -> None:
        """Take up the key in use, making it if it is the first. What is in the way is told by ``check`` alone."""
        try:
            key = await self._find_or_make()
        except (BrokenSealError, UnavailableError) as error:
            if self._problem != error.message:
                logger.warning("signing_key_unavailable", reason=error.message, kept=self._key is not None)
            self._problem = error.message
            return
        self._problem = ""
        if self._key is None or self._key.id != key.id:
            logger.info("signing_key_in_use", key_id=key.id)
            self._key = key

    async def check(self) -> dict[str, str]:
        """Return what ``/health`` shows; raise ``UnavailableError`` when nothing can be signed."""
        if self._key is None:
            raise UnavailableError(f"nothing can be signed: {self._problem}")
        return {"keyId": self._key.id, **({"problem": self._problem} if self._problem else {})}

    async def _find_or_make(self) -> SigningKey:
        stored = await signing_keys.find_active(self._db)
        if stored is None:
            new = await new_sealed_key(self._envelope)
            if await signing_keys.add_active(self._db, new):
                logger.info("signing_key_made", key_id=new.id)
            # Whoever was first, the one in the database counts.
            stored = await signing_keys.find_active(self._db)
        if stored is None:
            raise UnavailableError("the signing key is just being replaced")
        if self._key is not None and self._key.id == stored.id:
            return self._key
        try:
            return SigningKey.from_secret(await self._envelope.open(stored.sealed, stored.id))
        except ValueError as error:
            raise BrokenSealError("the signing key is damaged") from error


async def new_sealed_key(envelope: Envelope) -> SealedKey:
    """Make a key and seal it; raise ``UnavailableError`` when there is no master key."""
    key = SigningKey.new()
    return SealedKey(id=key.id, public_key=key.public_key, sealed=await envelope.seal(key.secret(), key.id))
