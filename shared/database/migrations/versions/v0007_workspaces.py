"""Workspaces, their members and projects, sessions, personal keys, activities."""

from shared.database.migrations.statements import execute_beside

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
