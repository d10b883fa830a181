import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.process import embedded_postgres
from shared.process.embedded_postgres import EmbeddedPostgres, PostgresError, running_dsn
from shared.process.supervise import Supervisor
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[3]

OWNER = """
import asyncio, sys
from pathlib import Path
from shared.process.embedded_postgres import EmbeddedPostgres

async def main():
    print(await EmbeddedPostgres(Path(sys.argv[1]), durable=False).start(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def postgres(open_directory: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(open_directory / "postgres", durable=False)
    yield server
    await server.stop()


async def fetch(dsn: str, statement: str) -> Any:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def keep_a_row(dsn: str) -> None:
    await fetch(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_second_start_finds_the_data_of_the_first(postgres: EmbeddedPostgres) -> None:
    await keep_a_row(await postgres.start())
    await postgres.stop()

    assert await fetch(await postgres.start(), "SELECT answer FROM kept") == 42


async def test_it_listens_on_no_port(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()

    assert await fetch(dsn, "SHOW listen_addresses") == ""


async def test_stop_leaves_no_process_and_may_be_called_again(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    pid = postgres.pid
    await postgres.stop()
    await postgres.stop()

    assert pid is not None
    assert not is_running(pid)
    assert postgres.pid is None


async def test_a_killed_server_is_started_again_with_every_committed_row(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    await keep_a_row(dsn)
    first = postgres.pid
    assert first is not None
    async with Supervisor() as supervisor:
        supervisor.spawn("postgres", postgres.keep())
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: postgres.pid not in {None, first}, within_s=20)

        async def answers() -> bool:
            try:
                return bool(await fetch(dsn, "SELECT answer FROM kept") == 42)
            except (OSError, asyncpg.CannotConnectNowError):
                return False

        assert await eventually(answers, within_s=20)


async def test_a_session_that_outlives_its_killed_server_only_delays_the_next_start(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    first = postgres.pid
    assert first is not None
    # It looks up from its work only when it is done, and holds the server's shared memory until then.
    busy = "SELECT count(*) FROM generate_series(1, 5000000)"
    async with Supervisor() as supervisor:
        supervisor.spawn("postgres", postgres.keep())
        working = supervisor.spawn("busy", fetch(dsn, busy), critical=False)
        await eventually(lambda: is_at_work(dsn))
        os.kill(first, signal.SIGKILL)
        await asyncio.wait([working])

        async def answers() -> bool:
            try:
                return bool(await fetch(dsn, "SELECT 1") == 1)
            except (OSError, asyncpg.CannotConnectNowError):
                return False

        assert await eventually(answers, within_s=20)
    assert postgres.pid != first


async def is_at_work(dsn: str) -> bool:
    return bool(await fetch(dsn, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 5%'") > 1)


async def test_a_server_that_dies_again_and_again_is_given_up(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_postgres, "_MOST_DEATHS", 1)
    await postgres.start()
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)

    with pytest.raises(PostgresError, match="died"):
        await postgres.keep()


async def test_a_start_after_kill_9_recovers(postgres: EmbeddedPostgres) -> None:
    await keep_a_row(await postgres.start())
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    await postgres.stop()

    assert await fetch(await postgres.start(), "SELECT answer FROM kept") == 42


async def test_a_reused_process_number_neither_blocks_the_start_nor_hurts_its_new_bearer(
    postgres: EmbeddedPostgres, open_directory: Path
) -> None:
    await keep_a_row(await postgres.start())
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    await postgres.stop()
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        lock_file = open_directory / "postgres" / "data" / "postmaster.pid"
        lines = lock_file.read_text().split("\n")
        lock_file.write_text("\n".join([str(innocent.pid), *lines[1:]]))

        assert await fetch(await postgres.start(), "SELECT answer FROM kept") == 42
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


async def test_the_server_ends_when_its_owner_is_killed(postgres: EmbeddedPostgres, open_directory: Path) -> None:
    directory = open_directory / "postgres"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    try:
        dsn = (await asyncio.to_thread(owner.stdout.readline)).strip()
        await keep_a_row(dsn)
        pid = int((directory / "data" / "postmaster.pid").read_text().split("\n")[0])
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    await eventually(lambda: not is_running(pid), within_s=15)

    assert await fetch(await postgres.start(), "SELECT answer FROM kept") == 42


async def test_a_server_without_an_owner_is_stopped_before_a_new_one_starts(
    postgres: EmbeddedPostgres, open_directory: Path
) -> None:
    await postgres.start()
    await postgres.stop()
    data = open_directory / "postgres" / "data"
    owner = data.stat().st_uid
    orphan = subprocess.Popen(
        [embedded_postgres._binaries() / "postgres", "-D", data, "-k", data, "-c", "listen_addresses="],
        cwd=data,
        user=owner if os.geteuid() == 0 else None,
        stderr=subprocess.DEVNULL,
    )
    try:
        await eventually((data / "postmaster.pid").exists)
        assert await fetch(await postgres.start(), "SELECT 1") == 1
        assert orphan.wait(10) == 0
    finally:
        orphan.kill()
        orphan.wait()


async def test_a_second_owner_is_refused_and_told_who_the_first_is(
    postgres: EmbeddedPostgres, open_directory: Path
) -> None:
    await postgres.start()

    with pytest.raises(PostgresError, match=f"in use by process {os.getpid()}"):
        await EmbeddedPostgres(open_directory / "postgres").start()


async def test_an_interrupted_initdb_is_done_again(postgres: EmbeddedPostgres, open_directory: Path) -> None:
    draft = open_directory / "postgres" / "data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")

    assert await fetch(await postgres.start(), "SELECT 1") == 1


async def test_data_of_another_version_are_refused_with_what_to_do(
    postgres: EmbeddedPostgres, open_directory: Path
) -> None:
    await postgres.start()
    await postgres.stop()
    (open_directory / "postgres" / "data" / "PG_VERSION").write_text("12\n")

    with pytest.raises(PostgresError, match="pg_dump"):
        await postgres.start()


async def test_a_path_too_long_for_a_socket_gets_a_short_one_that_is_removed(open_directory: Path) -> None:
    postgres = EmbeddedPostgres(open_directory / ("d" * 100), durable=False)
    dsn = await postgres.start()
    try:
        directory = Path(await fetch(dsn, "SHOW unix_socket_directories"))
        assert await fetch(dsn, "SELECT 1") == 1
    finally:
        await postgres.stop()

    assert not directory.exists()


async def test_another_process_finds_the_running_server(postgres: EmbeddedPostgres, open_directory: Path) -> None:
    assert running_dsn(open_directory / "postgres") is None
    dsn = await postgres.start()
    assert running_dsn(open_directory / "postgres") == dsn
    await postgres.stop()
    assert running_dsn(open_directory / "postgres") is None


async def test_root_runs_below_a_closed_directory_without_opening_it(open_directory: Path) -> None:
    closed = open_directory / "home"
    closed.mkdir(mode=0o700)
    postgres = EmbeddedPostgres(closed / "tidemill", durable=False)

    try:
        connection = await asyncpg.connect(await postgres.start())
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    finally:
        await postgres.stop()

    assert closed.stat().st_mode & 0o777 == 0o700
