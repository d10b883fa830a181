"""Packages that nothing needs any more can be deleted."""

from shared.database.migrations.statements import execute_beside

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
