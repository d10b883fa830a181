from collections.abc import AsyncIterator, Iterator

import pytest
from moto.server import ThreadedMotoServer

from shared.cloud.aws.sessions import AwsConnection, AwsSessions
from shared.process.aws_settings import AwsSettings
from tests.support.cloud import Ground
from tests.support.fake_aws import EXTERNAL_ID, ROLE, FakeAws, fake_aws


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """The URL of an emulated AWS on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """A fake of this test's own."""
    with fake_aws() as running:
        yield running


@pytest.fixture
async def sessions(aws: FakeAws) -> AsyncIterator[AwsSessions]:
    opened = AwsSessions(AwsSettings(endpoint_url=aws.url), threads=4)
    yield opened
    await opened.close()


@pytest.fixture
def connection() -> AwsConnection:
    return AwsConnection(id="con_1", role_arn=ROLE, external_id=EXTERNAL_ID)


@pytest.fixture
def ground(sessions: AwsSessions, connection: AwsConnection) -> Ground:
    return Ground.make(sessions, connection)
