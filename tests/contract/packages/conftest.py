from collections.abc import AsyncIterator, Iterator
from secrets import token_hex

import boto3
import pytest
from moto.server import ThreadedMotoServer

from shared.database.pool import Database
from shared.packages.postgres import PostgresPackageStore
from shared.packages.s3 import S3PackageStore
from shared.packages.store import PackageStore
from shared.process.settings import PackageStoreSettings


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_settings(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> PackageStoreSettings:
    """A bucket of this test's own."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = f"packages-{token_hex(6)}"
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket=bucket)
    client.close()
    return PackageStoreSettings(s3_url=f"s3://{bucket}/tidemill/packages", s3_endpoint=s3_endpoint)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.connect(database_url)
    yield db
    await db.close()


@pytest.fixture(params=["postgres", "s3"])
async def store(request: pytest.FixtureRequest, db: Database) -> AsyncIterator[PackageStore]:
    if request.param == "postgres":
        yield PostgresPackageStore(db)
        return
    async with S3PackageStore(request.getfixturevalue("s3_settings"), db) as s3:
        yield s3
