"""``python -m services.logger``: one logger on its own. Scale it by running more."""

import sys

from services.logger.app import build
from services.run import run_alone

if __name__ == "__main__":
    sys.exit(run_alone("logger", build))
