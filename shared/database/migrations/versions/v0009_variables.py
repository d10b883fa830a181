"""What functions are given, sealed; what resources are connected to; first projects on this installation itself."""

from shared.database.migrations.statements import execute_beside

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_beside(__file__)
