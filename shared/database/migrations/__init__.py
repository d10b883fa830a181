"""The schema's history; applied by ``shared.database.migrate``."""
