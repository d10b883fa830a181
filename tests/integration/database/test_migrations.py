import asyncio
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from shared.crypto.receipts import code_hash
from shared.database import migrate
from shared.database.api_request_counts import stored_requests
from shared.domain.errors import UnavailableError
from shared.domain.execution import ExecutionStatus
from shared.domain.function import Convention, FunctionStatus
from shared.domain.states import DEPLOYMENT, EXECUTION, FUNCTION, Table

SCHEMA = Path(__file__).with_name("schema.txt")

# Everything that makes a schema, one fact a line, whatever order it was made in.
_DESCRIBE = """
    SELECT format('column %s.%s %s%s default %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
                  coalesce(pg_get_expr(d.adbin, d.adrelid), '-')) AS fact
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('constraint %s on %s: %s', k.conname, k.conrelid::regclass, pg_get_constraintdef(k.oid))
    FROM pg_constraint k WHERE k.connamespace = 'public'::regnamespace AND k.contype IN ('c', 'f')
    UNION ALL
    SELECT format('partitioned %s by %s', c.relname, pg_get_partkeydef(c.oid)) FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'p'
    ORDER BY fact
"""


async def described(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        facts = [row["fact"] for row in await connection.fetch(_DESCRIBE)]
    finally:
        await connection.close()
    return "".join(f"{fact}\n" for fact in facts if "alembic_version" not in fact)


def revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    walked = ScriptDirectory.from_config(config).walk_revisions()
    return [script.revision for script in walked][::-1]


async def test_migrations_applied_one_by_one_make_the_schema_that_is_written_down(empty_database_url: str) -> None:
    for revision in revisions():
        await asyncio.to_thread(migrate.upgrade, empty_database_url, revision)

    assert await described(empty_database_url) == SCHEMA.read_text("utf-8")


async def test_a_migrated_database_is_current_and_migrating_it_again_changes_nothing(empty_database_url: str) -> None:
    assert not await migrate.is_current(empty_database_url)
    await migrate.migrate(empty_database_url)
    assert await migrate.is_current(empty_database_url)
    before = await described(empty_database_url)

    await asyncio.to_thread(migrate.upgrade, empty_database_url)

    assert await described(empty_database_url) == before


async def test_a_process_starts_on_the_schema_of_its_successor(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    finally:
        await connection.close()

    assert await migrate.is_current(database_url)
    await migrate.migrate(database_url)


async def test_processes_that_migrate_at_once_do_not_disturb_each_other(empty_database_url: str) -> None:
    await asyncio.gather(*(migrate.migrate(empty_database_url) for _ in range(3)))

    assert await described(empty_database_url) == SCHEMA.read_text("utf-8")


async def test_a_migration_that_fails_leaves_nothing_behind_and_says_why(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("CREATE TABLE log_lines (mine integer)")
    try:
        with pytest.raises(migrate.MigrationError, match='"log_lines" already exists'):
            await migrate.migrate(empty_database_url)

        assert [
            row["relname"]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            )
        ] == ["log_lines"]
    finally:
        await connection.close()


async def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        await migrate.migrate(f"postgresql://postgres@/none?host={tmp_path}")


def test_the_newest_revision_is_found_without_alembic() -> None:
    assert migrate.head() == revisions()[-1]


async def test_asking_whether_a_database_is_current_loads_neither_alembic_nor_sqlalchemy(database_url: str) -> None:
    script = (
        "import asyncio, sys; from shared.database.migrate import migrate;"
        f"asyncio.run(migrate({database_url!r}));"
        "print([name for name in ('alembic', 'sqlalchemy') if name in sys.modules])"
    )
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("table", "column", "known"),
    [
        ("executions", "status", set(ExecutionStatus)),
        ("functions", "status", set(FunctionStatus)),
        ("deployments", "state", {state for state, _ in DEPLOYMENT} | set(DEPLOYMENT.values())),
        ("function_versions", "convention", set(Convention)),
    ],
)
async def test_the_database_knows_the_same_words_as_the_code(
    database_url: str, table: str, column: str, known: set[str]
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        check = await connection.fetchval(
            """
            SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum]
            WHERE k.conrelid = $1::regclass AND k.contype = 'c' AND a.attname = $2
            """,
            table,
            column,
        )
    finally:
        await connection.close()

    assert {word for word in check.split("'") if word.isalpha()} == known


@pytest.mark.parametrize(("table", "enumeration"), [(EXECUTION, ExecutionStatus), (FUNCTION, FunctionStatus)])
def test_the_tables_of_states_and_the_enumerations_agree(table: Table, enumeration: type[ExecutionStatus]) -> None:
    assert {state for state, _ in table} | set(table.values()) == set(enumeration)


async def test_versions_made_before_receipts_get_the_hash_that_receipts_use(empty_database_url: str) -> None:
    sources = ["", 'a "quoted" \\ / text', "".join(map(chr, range(1, 0x2FF))), "\u2028 \N{GRINNING FACE}\n", None]
    await asyncio.to_thread(migrate.upgrade, empty_database_url, "0001")
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute("SET session_replication_role = replica")  # versions of no function will do
        for number, source in enumerate(sources):
            await connection.execute(
                """
                INSERT INTO function_versions (id, function_id, number, runtime, convention, handler, timeout_s,
                                               memory_mb, tmp_mb, environment, package_sha256, source)
                VALUES ($1, 'f', $2, 'node18', 'neo', '', 1, 128, 512, '{}', $3, $4)
                """,
                str(number),
                number,
                "ab" * 32,
                source,
            )

        await asyncio.to_thread(migrate.upgrade, empty_database_url, "0002")

        rows = await connection.fetch("SELECT code_hash FROM function_versions ORDER BY number")
    finally:
        await connection.close()
    assert [row["code_hash"] for row in rows] == [code_hash(source, "ab" * 32) for source in sources]


async def test_api_requests_that_were_stored_before_they_were_counted_are_counted(empty_database_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty_database_url, "0005")
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute("CREATE TABLE one_day PARTITION OF api_requests FOR VALUES FROM ('0') TO ('9')")
        await connection.execute(
            """
            INSERT INTO api_requests (id, environment_id, function_id, function_name, method, path, timestamp,
                                      status_code, duration_s, timings, log_lines, dropped_log_lines)
            SELECT number::text, 'e', 'f', CASE WHEN number < 3 THEN 'busy' ELSE 'quiet' END, 'GET', '/', now(),
                   200, 0.1, '{}', 0, 0
            FROM generate_series(0, 3) AS number
            """
        )

        await asyncio.to_thread(migrate.upgrade, empty_database_url, "0006")

        counts = [await stored_requests(connection, "e", name) for name in (None, "busy", "quiet", "none")]
    finally:
        await connection.close()
    assert counts == [4, 3, 1, 0]
