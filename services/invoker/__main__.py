"""``python -m services.invoker``: one invoker on its own. Scale it by running more."""

import sys

from services.invoker.app import build
from services.run import run_alone

if __name__ == "__main__":
    sys.exit(run_alone("invoker", build))
