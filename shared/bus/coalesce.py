"""
Many messages as one: what leaves in the same turn of the event loop, cut into bodies of bounded size.

A frame is already encoded, so joining is concatenation. How large a batch may get is a matter of who reads it:
a batch of calls is run by one invoker, a batch of replies is read by the one who waits for all of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_BATCH_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Leaving:
    """A call or a reply on its way out, of no use to anybody after its deadline."""

    record_id: str
    frame: bytes
    expires_at_ms: int


def batches(leaving: Iterable[Leaving], max_count: int) -> Iterator[list[Leaving]]:
    """Cut into batches within both bounds, in order; what is over the bound of bytes by itself goes alone."""
    batch: list[Leaving] = []
    size = 0
    for each in leaving:
        if batch and (len(batch) >= max_count or size + len(each.frame) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.frame)
    if batch:
        yield batch


def body_of(batch: Iterable[Leaving]) -> bytes:
    """Return the body that carries a batch."""
    return b"".join([each.frame for each in batch])
