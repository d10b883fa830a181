"""One platform for all end-to-end tests that do not break it, and functions that are gone after each test."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.backends import open_directory
from tests.support.builders import Functions, functions_on, unique
from tests.support.platform import CLIENT_ID, ROOT, Platform, all_in_one, client_of

PASSWORD = "another long password"
OPEN = {"TIDEMILL_REGISTRATION": "open"}
"""Anybody may register; that it is closed otherwise is tested elsewhere."""
TOKEN_USED_S = 150
"""How long a token is used before the next login: well below its five minutes, since a test may take a while."""

AddUser = Callable[..., httpx.Client]


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with open_directory() as directory, all_in_one(directory, OPEN) as running:
        yield running
        process = running.processes["tidemill"]
        assert process.popen.poll() is None, f"the platform ended by itself:\n{process.log_text()[-8000:]}"


@pytest.fixture(scope="session")
def neo(platform: Platform) -> Iterator[httpx.Client]:
    with platform.neo() as client:
        yield client


class Login:
    """One logged-in client for many tests: checking a password is slow on purpose, a token lives five minutes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._client: httpx.Client | None = None
        self._until = 0.0

    def client(self) -> httpx.Client:
        """Return the client, logged in anew when its token is near its end."""
        if self._client is None or time.monotonic() > self._until:
            self.close()
            self._client = self._platform.extra_horizon()
            self._until = time.monotonic() + TOKEN_USED_S
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


@pytest.fixture(scope="session")
def login(platform: Platform) -> Iterator[Login]:
    made = Login(platform)
    yield made
    made.close()


@pytest.fixture
def exh(login: Login) -> httpx.Client:
    return login.client()


@pytest.fixture
def anonymous(platform: Platform) -> Iterator[httpx.Client]:
    with platform.anonymous() as client:
        yield client


@pytest.fixture
def functions(neo: httpx.Client, exh: httpx.Client) -> Iterator[Functions]:
    with functions_on(neo, exh) as made:
        yield made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Callers that call at the same time."""
    with ThreadPoolExecutor(max_workers=32) as pool:
        yield pool


@pytest.fixture
def add_user(platform: Platform) -> Iterator[AddUser]:
    """Give a maker of users: each call adds one with the named permissions and returns its logged-in client."""
    clients: list[httpx.Client] = []

    def add(*permissions: str) -> httpx.Client:
        email = f"{unique('user')}@example.com"
        run_user_add(platform.processes["tidemill"].log.parent / "data", email, *permissions)
        clients.append(log_in(platform.address, email))
        return clients[-1]

    yield add
    for client in clients:
        client.close()


def run_user_add(data_dir: Path, email: str, *permissions: str) -> None:
    """Run ``./tidemill user add`` beside a running platform."""
    options = [part for name in permissions for part in ("--permission", name)]
    run = subprocess.run(
        [sys.executable, "-m", "services", "user", "--data-dir", str(data_dir), "add", email, *options],
        cwd=ROOT,
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def log_in(address: str, email: str) -> httpx.Client:
    """Return a client that carries the user's access token."""
    body = {"client_id": CLIENT_ID, "grant_type": "password", "username": email, "password": PASSWORD}
    with client_of(address) as client:
        answer = client.post("/auth/v2/oauth2/tokens", json=body)
    assert answer.status_code == httpx.codes.OK, answer.text
    return client_of(address, {"Authorization": f"Bearer {answer.json()['access_token']}"})
