"""The logger: writes records of runs and their log lines down in batches, keeps them as long as it is told."""
