"""PostgreSQL: a pool, migrations, and a module of plain async functions for each noun."""
