"""The Python runtime; ``worker.py`` runs alone, under ``python -I -S``."""
