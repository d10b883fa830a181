"""
API requests: each call of an API function, written down by the logger and listed by filter.

Writing is idempotent by record id. How a filter becomes SQL is in ``query_sql.py``; what it may name is here.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.database.api_request_counts import SHARD, count_stored, stored_requests
from shared.database.pool import Queries, Row
from shared.database.query import And, Comparison, Condition, ListQuery, Operator
from shared.database.query_sql import Column, Kind, Table
from shared.database.records import failure_from
from shared.database.text import json_text, storable, storable_or_none
from shared.domain.errors import InterruptedExecutionError
from shared.domain.execution import ApiRequest
from shared.domain.ids import is_record_id
from shared.domain.outcome import Failure
from shared.messages.messages import ApiRequestFinished

_COLUMNS = """
    id, environment_id, function_name, method, path, user_id, application_id, timestamp, status_code, duration_s,
    failure, log_lines, dropped_log_lines
"""

API_REQUESTS = Table(
    sql="api_requests",
    columns=_COLUMNS,
    noun="API requests",
    fields={
        "id": Column("id"),
        "functionName": Column("function_name"),
        "method": Column("method"),
        "path": Column("path"),
        "userId": Column("user_id"),
        "applicationId": Column("application_id"),
        "timestamp": Column("timestamp", Kind.TIME),
        "statusCode": Column("status_code", Kind.NUMBER),
        "duration": Column("duration_s", Kind.NUMBER),
        "error.type": Column("error_type"),
        # A run that was cut off is shown under the name of our error for it.
        "error.name": Column(
            f"(CASE failure->>'kind' WHEN 'interrupted' THEN '{InterruptedExecutionError.code}'"
            " ELSE failure->>'name' END)"
        ),
        "error.message": Column("(failure->>'message')"),
    },
    newest=("timestamp DESC",),
)
"""The fields of contracts/extrahorizon.md section 6."""

_ERROR_TYPES = {"refused": "invocation", "interrupted": "invocation", "invalid_response": "response"}


async def insert_finished(db: Queries, events: Sequence[ApiRequestFinished]) -> int:
    """Record and count calls; return how many were not recorded before."""
    inserted: int = await db.fetchval(
        f"""
        WITH inserted AS (
            INSERT INTO api_requests
                (id, environment_id, function_id, function_name, method, path, user_id, application_id, timestamp,
                 status_code, duration_s, error_type, failure, timings, log_lines, dropped_log_lines)
            SELECT id, environment_id, function_id, function_name, method, path, user_id, application_id,
                   to_timestamp(started_at_ms / 1000.0), status_code,
                   round(duration_ms::numeric / 1000, 6), error_type,
                   failure::jsonb, timings::jsonb, log_lines, dropped_log_lines
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                        $8::text[], $9::bigint[], $10::integer[], $11::double precision[], $12::text[],
                        $13::text[], $14::text[], $15::integer[], $16::integer[])
                AS t(id, environment_id, function_id, function_name, method, path, user_id, application_id,
                     started_at_ms, status_code, duration_ms, error_type, failure, timings, log_lines,
                     dropped_log_lines)
            ORDER BY id
            ON CONFLICT (id) DO NOTHING RETURNING environment_id, function_name
        ), counted AS ({count_stored("inserted", "$17::smallint")})
        SELECT count(*) FROM inserted
        """,  # noqa: S608 - built from constants
        [event.request_id for event in events],
        [event.environment_id for event in events],
        [event.function_id for event in events],
        [storable(event.function_name) for event in events],
        [storable(event.call.method) for event in events],
        [storable(event.call.path) for event in events],
        [storable_or_none(event.call.user_id) for event in events],
        [storable_or_none(event.call.application_id) for event in events],
        [event.started_at_ms for event in events],
        [event.status_code for event in events],
        [event.duration_ms for event in events],
        [error_type(event.failure) for event in events],
        [None if event.failure is None else json_text(event.failure) for event in events],
        [json_text(event.timings) for event in events],
        [len(event.lines) for event in events],
        [event.dropped_log_lines for event in events],
        SHARD,
    )
    return inserted


async def find_api_request(db: Queries, environment_id: str, request_id: str) -> ApiRequest | None:
    """Return one call of a function of the environment."""
    if not is_record_id(request_id):
        return None
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM api_requests WHERE id = $1 AND environment_id = $2",  # noqa: S608 - constants
        request_id,
        environment_id,
    )
    return None if row is None else _request_of(row)


async def list_api_requests(db: Queries, environment_id: str, query: ListQuery) -> tuple[list[ApiRequest], int | None]:
    """Return one page of an environment's calls, and how many match in all (None when not counted)."""
    known = query.count and _is_counted(query.where)
    rows, total = await API_REQUESTS.page(db, environment_id, replace(query, count=False) if known else query)
    if known:
        total = await stored_requests(db, environment_id, _only_name(query.where))
    return [_request_of(row) for row in rows], total


def _is_counted(where: Condition) -> bool:
    """Tell whether the number of matches is kept: that of everything, and that of one function's name."""
    return where == And(()) or _only_name(where) is not None


def _only_name(where: Condition) -> str | None:
    """Return the function's name if that is all that is asked for."""
    match where:
        case And((only,)):
            return _only_name(only)
        case Comparison("functionName", Operator.EQ, str(name)):
            return storable(name)
        case _:
            return None


def error_type(failure: Failure | None) -> str | None:
    """Return which of the three types of contracts/extrahorizon.md section 6 a failure is."""
    return None if failure is None else _ERROR_TYPES.get(failure.kind, "runtime")


def _request_of(row: Row) -> ApiRequest:
    return ApiRequest(**{**row, "failure": failure_from(row["failure"])})
