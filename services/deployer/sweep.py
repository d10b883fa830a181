"""
What is left of changes: versions that were replaced, and packages that nothing needs any more.

Nobody goes back to an earlier version, and a package may be uploaded for a deployment that is refused, or for none. All
of it stays for a while (``TIDEMILL_PACKAGE_GRACE_HOURS``): a caller may be about to ask for a deployment, and an
invoker may not have heard of the next version yet. Any number of deployers may do this at once.
"""

import structlog

from shared.database import package_uses, versions
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.packages.store import PackageStore

SWEEP_EVERY_S = 3600.0
_BATCH = 200

_log = structlog.get_logger(__name__)


async def sweep(db: Database, packages: PackageStore, *, older_than_s: float) -> None:
    """Forget old versions, then delete what nothing needs and nobody has wanted for so long."""
    while forgotten := await versions.forget_replaced(db, older_than_s, limit=_BATCH):
        _log.info("versions_forgotten", count=forgotten)
    while unneeded := await package_uses.unneeded(db, older_than_s, limit=_BATCH):
        deleted = 0
        try:
            for sha256 in unneeded:
                deleted += await package_uses.delete(db, sha256, older_than_s, packages.delete)
        except UnavailableError as error:
            # Away, or a bucket that lets us delete nothing: what is left can wait for the next time.
            _log.warning("packages_not_deleted", deleted=deleted, reason=error.message)
            return
        _log.info("packages_deleted", count=deleted)
