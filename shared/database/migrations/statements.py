"""The SQL of a migration, in the file beside it of the same name."""

from pathlib import Path

from alembic import op


def execute_beside(module: str) -> None:
    """Run the statements of the ``.sql`` file beside a migration; each ends with a semicolon at a line's end."""
    connection = op.get_bind()
    for statement in Path(module).with_suffix(".sql").read_text("utf-8").split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)
