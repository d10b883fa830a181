"""Versions of OAuth applications, OAuth 1.0 tokens and nonces, authorization codes."""

from shared.database.migrations.statements import execute_beside

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
