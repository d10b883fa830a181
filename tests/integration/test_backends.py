"""The backends the other tests stand on: real, separate for each test, and gone afterwards."""

from typing import Any

import aio_pika
import asyncpg
import pytest

from tests.support.backends import Broker, DatabaseServer


async def test_quorum_queues_work_and_virtual_hosts_are_apart(broker: Broker, amqp_url: str) -> None:
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue("same-name", durable=True, arguments={"x-queue-type": "quorum"})
        await channel.default_exchange.publish(aio_pika.Message(b"grist"), "same-name")
        with broker.virtual_host() as other_url:
            other = await aio_pika.connect(other_url)
            async with other:
                queue = await (await other.channel()).declare_queue("same-name", durable=True)
                assert queue.declaration_result.message_count == 0


def test_a_virtual_host_is_removed_after_its_test(broker: Broker) -> None:
    before = broker.virtual_hosts()
    with broker.virtual_host():
        during = broker.virtual_hosts()

    assert len(during - before) == 1
    assert broker.virtual_hosts() == before


async def test_each_database_is_a_migrated_one_of_its_own(database_server: DatabaseServer, database_url: str) -> None:
    other_url = database_server.create()
    try:
        assert other_url != database_url
        tables = [await _tables(url) for url in (database_url, other_url)]
        assert tables[0] == tables[1]
        assert "functions" in tables[0]
    finally:
        database_server.drop(other_url)

    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await _tables(other_url)


async def test_an_empty_database_has_no_tables(empty_database_url: str) -> None:
    assert await _tables(empty_database_url) == set()


async def _tables(url: str) -> set[str]:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()
