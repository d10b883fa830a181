"""Records gather for a moment before they are sent; those a full batch had no room for do not wait again."""

import pytest

from shared.bus.coalesce import MAX_BATCH_BYTES
from shared.bus.connection import Link
from shared.bus.record_stream import RecordSender
from shared.bus.records import RecordBuffer
from shared.process.supervise import Supervisor

URL = "amqp://nobody@127.0.0.1:1/"


async def test_what_a_full_batch_left_over_is_taken_without_another_pause() -> None:
    buffer: RecordBuffer[bytes] = RecordBuffer()
    sender = RecordSender(Link(URL, replica_id="r", tasks=Supervisor(), heartbeat_s=10), buffer)
    for name in (b"first", b"second"):
        buffer.add(name, MAX_BATCH_BYTES)
    assert [held.item for held in await sender._gather()] == [b"first"]

    with pytest.raises(StopIteration) as at_once:
        sender._gather().send(None)

    assert [held.item for held in at_once.value.value] == [b"second"]
