"""``python -m services.deployer``: one deployer on its own. Scale it by running more."""

import os
import sys

from services.deployer.app import build
from services.run import run_alone

BEHIND = 10
"""How much nicer than other processes it is: where cores are short, calls do not wait for deployments."""

if __name__ == "__main__":
    os.nice(BEHIND)
    sys.exit(run_alone("deployer", build))
