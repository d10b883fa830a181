"""
The pages made from the settings: ``docs/settings.md`` and ``.env.example``.

``python -m shared.process.settings_pages`` writes both; the tests compare them with what this returns.
"""

from pathlib import Path

from shared.process.settings import Settings, markdown_table
from shared.process.variables import variables

_ROOT = Path(__file__).parents[2]

_SETTINGS_INTRODUCTION = """\
# Settings

Made from `shared/process/settings.py` by `python -m shared.process.settings_pages`; do not edit.

Every setting is an environment variable, the same for `./tidemill up` and for the four services on their own.
They are read once, at start. Whatever is wrong is told all at once, with the variable, its value and what was
expected, and nothing starts; so is a variable that begins with `TIDEMILL_` and is none of these. A default in
parentheses says what the absence of the variable means. Secrets are never shown.

"""

_EXAMPLE_INTRODUCTION = """\
# Settings for `docker compose`, which reads a file named .env beside this one. Copy this file to .env, fill in the
# first part, and uncomment below only what should differ from its default. Never commit .env.
# Made by `python -m shared.process.settings_pages`; what each variable means is in docs/settings.md.

# --- needed by docker-compose.yml; for each: openssl rand -hex 24
POSTGRES_PASSWORD=
RABBITMQ_PASSWORD=

# --- what secrets of functions are encrypted with: openssl rand -base64 32. Without it they cannot be kept. Back it up.
#TIDEMILL_MASTER_KEY=

# --- where the API is published; put a proxy that speaks TLS before it
#PUBLISH=127.0.0.1:8080

# --- optional
"""


def settings_page() -> str:
    """Return the text of ``docs/settings.md``."""
    return _SETTINGS_INTRODUCTION + markdown_table()


def env_example() -> str:
    """Return the text of ``.env.example``: what compose itself needs, then every variable of ours."""
    lines = [
        f"#{variable.name}={variable.default or ''}"
        for _, variable in variables(Settings)
        if f"\n#{variable.name}=" not in _EXAMPLE_INTRODUCTION
    ]
    return _EXAMPLE_INTRODUCTION + "\n".join(lines) + "\n"


PAGES = {_ROOT / "docs" / "settings.md": settings_page, _ROOT / ".env.example": env_example}


def main() -> None:
    """Write the pages."""
    for path, render in PAGES.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(render(), "utf-8")


if __name__ == "__main__":
    main()
