"""Settings of API keys that are made over HTTP."""

from dataclasses import dataclass

from shared.process.variables import seconds, setting, whole

_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeySettings:
    """How many keys an account may have, for how long one counts, and what becomes of one that was replaced."""

    most: int | None = setting(
        "MAX_API_KEYS",
        whole(1, 100_000),
        absent="any number",
        doc="API keys of an account that count at the same time.",
    )
    days: int | None = setting(
        "API_KEY_DAYS",
        whole(1, 3650),
        absent="for ever, unless it says so itself",
        doc="How long a new API key counts.",
    )
    grace_s: float = setting(
        "API_KEY_GRACE_S",
        seconds(0, 30 * _DAY_S),
        default=str(_DAY_S),
        doc="How long the old key still counts after a rotation.",
    )
