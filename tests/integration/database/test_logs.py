from shared.database import logs
from shared.database.pool import Database
from shared.domain.ids import new_record_id
from shared.domain.outcome import LogLine
from tests.integration.database.world import line


async def test_lines_come_back_in_order_as_they_were_written(db: Database) -> None:
    record_id, other = new_record_id(), new_record_id()
    lines = [line(f"line {number}") for number in range(12)]
    lines.append(LogLine(timestamp_ms=1, level="error", message="1\tid\tERROR\tboom", text="boom"))
    lines.append(LogLine(timestamp_ms=1, level="info", message="", text=""))
    numbered = [(record_id, number, each) for number, each in enumerate(lines)]

    assert await logs.insert_lines(db, [*numbered[::-1], (other, 0, line("other"))]) == len(lines) + 1

    assert await logs.lines_of(db, record_id) == lines


async def test_lines_that_come_again_change_nothing(db: Database) -> None:
    record_id = new_record_id()
    first = [(record_id, number, line(f"line {number}")) for number in range(3)]
    again = [(record_id, number, line("changed")) for number in range(5)]

    assert [await logs.insert_lines(db, each) for each in (first, first, again)] == [3, 0, 2]

    assert [each.message for each in await logs.lines_of(db, record_id)] == [
        "line 0",
        "line 1",
        "line 2",
        "changed",
        "changed",
    ]


async def test_very_many_lines_are_written_in_chunks(db: Database) -> None:
    record_id = new_record_id()

    assert await logs.insert_lines(db, [(record_id, number, line("x")) for number in range(10_000)]) == 10_000
    assert len(await logs.lines_of(db, record_id)) == 10_000
    assert len(await logs.lines_of(db, record_id, limit=100)) == 100


async def test_only_lines_since_a_moment_are_read(db: Database) -> None:
    record_id = new_record_id()
    await logs.insert_lines(db, [(record_id, number, line(str(number), timestamp_ms=number)) for number in range(5)])

    assert [each.message for each in await logs.lines_of(db, record_id, since_ms=3)] == ["3", "4"]
    assert await logs.lines_of(db, record_id, since_ms=9) == []


async def test_nul_and_lone_surrogates_are_stored_readably(db: Database) -> None:
    record_id = new_record_id()

    await logs.insert_lines(db, [(record_id, 0, LogLine(timestamp_ms=0, level="in\0fo", message="a\0", text="\ud800"))])

    assert await logs.lines_of(db, record_id) == [
        LogLine(timestamp_ms=0, level="in\ufffdfo", message="a\ufffd", text="\ufffd")
    ]


async def test_an_unknown_or_malformed_id_has_no_lines(db: Database) -> None:
    assert await logs.lines_of(db, new_record_id()) == []
    assert await logs.lines_of(db, "none\0") == []
