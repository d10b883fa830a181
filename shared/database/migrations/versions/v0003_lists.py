"""Lists of executions in a time that does not grow with what is stored."""

from shared.database.migrations.statements import execute_beside

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
