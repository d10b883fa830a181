"""What the tests of the Extra Horizon dialect share: programs of its SDK, and users of the session's platform."""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import PASSWORD as MEMBER_PASSWORD
from tests.e2e.conftest import run_user_add
from tests.e2e.extrahorizon.programs import Programs
from tests.support.builders import unique
from tests.support.platform import CLIENT_ID, EMAIL, PASSWORD, Platform

AddMember = Callable[..., str]


@pytest.fixture(scope="session")
def add_member(platform: Platform) -> AddMember:
    """Give a maker of users who have the named permissions and ``MEMBER_PASSWORD``; it returns their e-mail."""

    def add(*permissions: str) -> str:
        email = f"{unique('member')}@example.com"
        run_user_add(platform.processes["tidemill"].log.parent / "data", email, *permissions)
        return email

    return add


@pytest.fixture(scope="session")
def programs(platform: Platform, add_member: AddMember) -> Programs:
    """Programs of the SDK, told of the session's platform, its administrator, and a user without any permission."""
    return Programs(
        environ={
            "TIDEMILL": platform.address,
            "CLIENT_ID": CLIENT_ID,
            "EMAIL": EMAIL,
            "PASSWORD": PASSWORD,
            "NOBODY_EMAIL": add_member(),
            "MEMBER_PASSWORD": MEMBER_PASSWORD,
        }
    )
