"""What the api takes of the settings: where it listens, and the limits of its operations."""

from services.api.platform import Limits
from shared.process.settings import Settings


def limits(settings: Settings) -> Limits:
    """Return the limits these settings ask for."""
    return Limits(
        functions_per_account=settings.api.max_functions,
        secrets_per_account=settings.api.max_secrets,
        max_timeout_s=settings.engine.max_timeout_s,
    )
