"""Which pages in browsers may call the API from another origin."""

import re
from dataclasses import dataclass

from shared.process.variables import matching, setting

_ORIGINS = re.compile(r"\*|https?://[^\s/,*]+( *, *https?://[^\s/,*]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSettings:
    """What browsers are told (CORS)."""

    cors_origins: str | None = setting(
        "CORS_ORIGINS",
        matching(
            lambda value: _ORIGINS.fullmatch(value) is not None, "* or origins like https://app.example.com,https://..."
        ),
        absent="pages of the API's own origin alone",
        doc="Pages that may call the Neo dialect from a browser: origins with commas between, or `*` for all.",
    )
