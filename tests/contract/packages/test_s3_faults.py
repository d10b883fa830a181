"""What an S3 store does when the bucket is not as it should be."""

import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.packages.s3 import S3PackageStore
from shared.process.settings import PackageStoreSettings
from tests.support.platform import free_port


@pytest.fixture
def client(s3_settings: PackageStoreSettings) -> Iterator[S3Client]:
    client = boto3.client("s3", endpoint_url=s3_settings.s3_endpoint)
    yield client
    client.close()


async def test_an_object_that_was_changed_is_not_handed_out(
    s3_settings: PackageStoreSettings, client: S3Client, db: Database
) -> None:
    async with S3PackageStore(s3_settings, db) as store:
        sha256 = await store.put(b"honest")
        bucket = urlsplit(s3_settings.s3_url or "").netloc
        (found,) = client.list_objects_v2(Bucket=bucket)["Contents"]
        client.put_object(Bucket=bucket, Key=found["Key"], Body=b"tampered")

        assert found["Key"] == f"tidemill/packages/{sha256}"
        with pytest.raises(UnavailableError, match="damaged"):
            await store.get(sha256)


async def test_a_missing_bucket_is_our_fault_and_not_a_missing_package(
    s3_settings: PackageStoreSettings, db: Database
) -> None:
    async with S3PackageStore(replace(s3_settings, s3_url="s3://no-such-bucket-here"), db) as store:
        with pytest.raises(UnavailableError, match="NoSuchBucket"):
            await store.get("0" * 64)
        with pytest.raises(UnavailableError, match="NoSuchBucket"):
            await store.put(b"x")


async def test_an_endpoint_that_is_away_is_given_up_soon(s3_settings: PackageStoreSettings, db: Database) -> None:
    away = replace(s3_settings, s3_endpoint=f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()

    async with S3PackageStore(away, db) as store:
        with pytest.raises(UnavailableError, match="does not answer"):
            await store.renew("0" * 64)

    assert time.monotonic() - began < 20
