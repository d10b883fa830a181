"""The first schema."""

from shared.database.migrations.statements import execute_beside

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
