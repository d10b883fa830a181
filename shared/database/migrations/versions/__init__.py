"""One module and one SQL file for each migration; ``vNNNN_*.py`` has revision ``NNNN``."""
