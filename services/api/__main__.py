"""``python -m services.api``: one api on its own, behind a RabbitMQ and a PostgreSQL. Scale it by running more."""

import sys

from services.api.app import build
from services.run import run_alone

if __name__ == "__main__":
    sys.exit(run_alone("api", build, probes=False))
