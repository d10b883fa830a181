"""What the logger is bounded by: how it batches, and how often its chores are done."""

MAX_BATCH = 1000
MAX_WAIT_S = 0.05
"""A record may wait so long for others: a reader finds it within 250 ms of the run's end."""

DAYS_AHEAD = 2
"""For how many days after today there are partitions, so that a logger may be away that long."""

CHORES_EVERY_S = 3600.0
NONCES_EVERY_S = 60.0
"""Nonces count for minutes, and there is one for each signed request."""
LEDGER_EVERY_S = 15.0
