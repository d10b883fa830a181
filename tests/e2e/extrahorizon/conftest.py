"""What the tests of the Extra Horizon dialect share: programs of its SDK, and users of the session's platform."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.e2e.conftest import PASSWORD as MEMBER_PASSWORD
from tests.e2e.conftest import run_user_add
from tests.e2e.extrahorizon.programs import Programs
from tests.support.builders import unique
from tests.support.fixtures_npm import packaged_app
from tests.support.platform import CLIENT_ID, CONSUMER_KEY, CONSUMER_SECRET, EMAIL, PASSWORD, Platform

AddMember = Callable[..., str]
EXPRESS = Path(__file__).parents[1] / "functions" / "express"

EXPRESS_SAMPLE = """
const serverless = require('serverless-http');
const express = require('express');

const app = express();

app.get('/', (req, res) => {
  res.send('Hello World!');
});
app.post('/echo', express.json(), (req, res) => {
  res.json({ query: req.query, body: req.body });
});

module.exports.handler = serverless(app);
"""
"""The vendor's sample, and one more route that reads a body."""


@pytest.fixture(scope="session")
def add_member(platform: Platform) -> AddMember:
    """Give a maker of users who have the named permissions and ``MEMBER_PASSWORD``; it returns their e-mail."""

    def add(*permissions: str) -> str:
        email = f"{unique('member')}@example.com"
        run_user_add(platform.processes["tidemill"].log.parent / "data", email, *permissions)
        return email

    return add


@pytest.fixture(scope="session")
def express_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as its author would zip it, with its packages."""
    package = tmp_path_factory.mktemp("express") / "sample.zip"
    package.write_bytes(packaged_app(EXPRESS))
    with ZipFile(package, "a") as archive:
        archive.writestr("sample.js", EXPRESS_SAMPLE)
    return package


@pytest.fixture(scope="session")
def programs(platform: Platform, add_member: AddMember, express_sample: Path) -> Programs:
    """Programs of the SDK, told of the session's platform, its administrator, and a user without any permission."""
    return Programs(
        environ={
            "TIDEMILL": platform.address,
            "CLIENT_ID": CLIENT_ID,
            "CONSUMER_KEY": CONSUMER_KEY,
            "CONSUMER_SECRET": CONSUMER_SECRET,
            "EMAIL": EMAIL,
            "PASSWORD": PASSWORD,
            "NOBODY_EMAIL": add_member(),
            "PERMITTED_EMAIL": add_member("EXECUTE_API_FUNCTION:sdk-permitted"),
            "MEMBER_PASSWORD": MEMBER_PASSWORD,
            "EXPRESS_SAMPLE": str(express_sample),
        }
    )
