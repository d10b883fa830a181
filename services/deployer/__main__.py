"""``python -m services.deployer``: one deployer on its own. Scale it by running more."""

import sys

from services.deployer.app import build
from services.run import run_alone

if __name__ == "__main__":
    sys.exit(run_alone("deployer", build))
