"""The database that a command works on: the one the settings name, or that of a running ``./tidemill up``."""

from shared.process.embedded_postgres import running_dsn
from shared.process.settings import Settings


def find_database(settings: Settings) -> str:
    """
    Return where the database is.

    Raises:
        OSError: none is named, and none runs on this data directory.
    """
    if settings.database.url is not None:
        return settings.database.url.reveal()
    dsn = running_dsn(settings.data.data_dir / "postgres")
    if dsn is None:
        raise ConnectionError(
            f"no database: start `./tidemill up` with data directory {settings.data.data_dir}, "
            "or set TIDEMILL_DATABASE_URL"
        )
    return dsn
