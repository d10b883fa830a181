"""What the api takes of the settings: where it listens, and the limits of its operations."""

from services.api.platform import Limits
from shared.process.settings import Settings


def limits(settings: Settings) -> Limits:
    """Return the limits these settings ask for."""
    return Limits(
        functions_per_account=settings.api.max_functions,
        secrets_per_account=settings.api.max_secrets,
        keys_per_account=settings.api_keys.most,
        key_days=settings.api_keys.days,
        key_grace_s=settings.api_keys.grace_s,
        open_sign_up=settings.workspaces.sign_up == "open",
        plan=settings.workspaces.plan,
        max_timeout_s=settings.engine.max_timeout_s,
        open_registration=settings.api.registration == "open",
    )
