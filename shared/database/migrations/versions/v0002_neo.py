"""Secrets at rest, the platform's signing keys, receipts of executions, rotation of API keys."""

from shared.database.migrations.statements import execute_beside

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
