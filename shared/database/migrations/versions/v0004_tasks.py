"""Tasks and schedules."""

from shared.database.migrations.statements import execute_beside

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
