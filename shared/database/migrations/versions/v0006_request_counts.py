"""How many API requests of each function are stored, and an index of those that failed."""

from shared.database.migrations.statements import execute_beside

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
