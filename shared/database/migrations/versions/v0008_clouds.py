"""Connections into cloud accounts, and where functions are at their provider."""

from shared.database.migrations.statements import execute_beside

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
