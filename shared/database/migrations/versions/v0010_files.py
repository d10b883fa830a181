"""Functions whose files are changed one by one."""

from shared.database.migrations.statements import execute_beside

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
