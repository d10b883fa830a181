"""
The AWS CLI as far as the how-to asks for it, on an emulated AWS: ``aws.py URL ACCOUNT cloudformation deploy ...``.

The first two are where that AWS is, and who is asking.
"""

import argparse
from pathlib import Path

from tests.support.emulated_aws import deploy_template


def main() -> None:
    """Deploy a template with its parameters."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("account")
    parser.add_argument("service", choices=["cloudformation"])
    parser.add_argument("action", choices=["deploy"])
    parser.add_argument("--stack-name", required=True)
    parser.add_argument("--template-file", required=True, type=Path)
    parser.add_argument("--capabilities", required=True)
    parser.add_argument("--parameter-overrides", required=True, nargs="+")
    asked = parser.parse_args()
    deploy_template(
        asked.url,
        asked.account,
        asked.template_file,
        dict(given.split("=", 1) for given in asked.parameter_overrides),
        name=asked.stack_name,
        capability=asked.capabilities,
    )


if __name__ == "__main__":
    main()
