"""The four services. They meet only through ``shared``; ``__main__`` runs all four in one process."""
