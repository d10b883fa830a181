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

# --- needed by docker-compose.yml; for each: openssl rand -hex 24 (the master key: -hex 32)
POSTGRES_PASSWORD=
RABBITMQ_PASSWORD=
TIDEMILL_MASTER_KEY=
TIDEMILL_ADMIN_PASSWORD=
# sl_ and 64 hex digits: echo "sl_$(openssl rand -hex 32)"
TIDEMILL_ADMIN_API_KEY=

# --- optional
"""

# What the compose file demands, or sets by itself for its own containers.
_NEEDED = frozenset({"TIDEMILL_MASTER_KEY", "TIDEMILL_ADMIN_PASSWORD", "TIDEMILL_ADMIN_API_KEY"})


def settings_page() -> str:
    """Return the text of ``docs/settings.md``."""
    return _SETTINGS_INTRODUCTION + markdown_table()


def env_example() -> str:
    """Return the text of ``.env.example``: every variable, those that compose needs first."""
    lines = [
        f"#{variable.name}={variable.default or ''}"
        for _, variable in variables(Settings)
        if variable.name not in _NEEDED
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
