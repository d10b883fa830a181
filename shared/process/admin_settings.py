"""The settings of the first account: credentials that scripts and tests have to know."""

import re
from dataclasses import dataclass

from shared.process.variables import Secret, matching, secret, secret_matching, setting, text

_API_KEY = re.compile(r"sl_[0-9a-f]{64}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """The first credentials, for scripts. Where one is not given it is made once and kept in the data directory."""

    email: str | None = setting(
        "ADMIN_EMAIL",
        matching(lambda value: _EMAIL.fullmatch(value) is not None, "an email address"),
        absent="admin@tidemill.local",
        doc="Email of the first user.",
    )
    password: Secret | None = setting(
        "ADMIN_PASSWORD", secret, absent="made at first start", hidden=True, doc="Password of the first user."
    )
    api_key: Secret | None = setting(
        "ADMIN_API_KEY",
        secret_matching(lambda value: _API_KEY.fullmatch(value) is not None, "sl_ and 64 hex digits"),
        absent="made at first start",
        hidden=True,
        doc="API key of the first user: `sl_` and 64 hex digits.",
    )
    oauth_client_id: str | None = setting(
        "OAUTH_CLIENT_ID", text, absent="made at first start", doc="Client id of the first OAuth application."
    )
    oauth1_consumer_key: str | None = setting(
        "OAUTH1_CONSUMER_KEY",
        text,
        absent="made at first start",
        doc="Consumer key of the first OAuth 1.0 application, for the Extra Horizon CLI and code inside functions.",
    )
    oauth1_consumer_secret: Secret | None = setting(
        "OAUTH1_CONSUMER_SECRET", secret, absent="made at first start", hidden=True, doc="Its consumer secret."
    )
