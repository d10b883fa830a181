"""The page about AWS Lambda, executed: somebody connects an account of an emulator and makes a function there."""

import stat
import sys
from pathlib import Path

from moto.server import ThreadedMotoServer

from tests.docs.page import blocks_of, check, shell
from tests.support.backends import open_directory
from tests.support.emulated_aws import OURS
from tests.support.platform import ROOT, all_in_one

PAGE = ROOT / "docs" / "howto" / "aws-lambda.md"
CUSTOMER = "111122223333"
NO_FUNCTIONS = {"TIDEMILL_STEM_CELLS_PYTHON": "0", "TIDEMILL_STEM_CELLS_NODE": "0"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def test_every_block_of_the_page_does_what_the_page_shows() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    aws_url = f"http://{host}:{port}"
    try:
        with (
            open_directory() as directory,
            all_in_one(directory, {**NO_FUNCTIONS, **CREDENTIALS, "TIDEMILL_AWS_ENDPOINT_URL": aws_url}) as platform,
            shell(directory, terminal_of(directory, aws_url)) as terminal,
        ):
            for block in blocks_of(PAGE):
                code = block.code.replace("http://localhost:8080", platform.address)
                check(block, code.replace("infrastructure/", f"{ROOT}/infrastructure/"), terminal)
    finally:
        server.stop()


def terminal_of(directory: Path, aws_url: str) -> dict[str, str]:
    """Return the environment of a terminal whose AWS CLI is ours."""
    cli = directory / "bin" / "aws"
    cli.parent.mkdir()
    cli.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.docs.aws {aws_url} {CUSTOMER} "$@"\n')
    cli.chmod(cli.stat().st_mode | stat.S_IXUSR)
    return {
        "PATH": f"{cli.parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "OUR_ACCOUNT": OURS,
    }
