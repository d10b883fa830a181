"""What tests of the database start from: an account, an environment, functions and executions in it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.database import accounts, deployments, executions, tasks
from shared.database.accounts import AdminCredentials, FirstAccount
from shared.database.deployments import NewDeployment
from shared.database.executions import Claim, NewExecution, Settlement
from shared.database.functions import FunctionSettings
from shared.database.pool import Database
from shared.database.tasks import DirectTask, NewTask
from shared.domain.execution import ExecutionKind
from shared.domain.function import Convention, Function, VersionSpec
from shared.domain.ids import new_function_id, new_record_id
from shared.domain.outcome import Failure, LogLine, Timings
from shared.domain.task import Task
from shared.messages.messages import ApiCall, ApiRequestFinished, ExecutionFinished

HOLDER = "invoker-1"
FAILURE = Failure(kind="raised", name="TypeError", message="x is not a function", stack="at index.js:1")
ADMIN = AdminCredentials(
    email="Admin@example.com",
    password_hash="$argon2id$made-up",
    api_key_sha256="a" * 64,
    api_key_prefix="sl_12345678",
    oauth_client_id="client-1",
)


def spec(**changes: Any) -> VersionSpec:
    given: dict[str, Any] = {
        "runtime": "node18",
        "convention": Convention.NEO,
        "handler": "index.handler",
        "timeout_s": 30,
        "memory_mb": 128,
    }
    return VersionSpec(**{**given, **changes})


def line(message: str, timestamp_ms: int = 1_700_000_000_000, text: str | None = None) -> LogLine:
    return LogLine(timestamp_ms=timestamp_ms, level="info", message=message, text=message if text is None else text)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One account with its default environment, and what lives in it."""

    db: Database
    first: FirstAccount

    @classmethod
    async def make(cls, db: Database) -> "World":
        return cls(db=db, first=await accounts.ensure_first_account(db, ADMIN))

    @property
    def environment_id(self) -> str:
        return self.first.environment.id

    def new_deployment(self, name: str, **changes: Any) -> NewDeployment:
        given: dict[str, Any] = {
            "function_id": new_function_id(),
            "account_id": self.first.account_id,
            "environment_id": self.environment_id,
            "name": name,
            "spec": spec(),
            "creates": True,
            "upload_kind": "source",
            "source": "module.exports = 1",
        }
        return NewDeployment(**{**given, **changes})

    async def function(self, name: str = "greeter", **settings: Any) -> Function:
        """Deploy a function."""
        given = settings.pop("spec", spec())
        new = self.new_deployment(name, spec=given, settings=FunctionSettings(**settings))
        await deployments.open_deployment(self.db, new)
        deployment = await deployments.claim_deployment(self.db, new.id)
        assert deployment is not None
        return await deployments.succeed(self.db, deployment, "0" * 64, new.source)

    def execution(self, function: Function, **changes: Any) -> NewExecution:
        given: dict[str, Any] = {
            "id": new_record_id(),
            "function_id": function.id,
            "environment_id": function.environment_id,
            "version_id": function.version.id,
            "kind": ExecutionKind.NEO,
            "params": b'{"n":1}',
        }
        return NewExecution(**{**given, **changes})

    async def accepted(self, function: Function, count: int = 1) -> list[str]:
        """Accept executions; return their ids."""
        return [each.id for each in await executions.accept(self.db, [self.execution(function) for _ in range(count)])]

    async def running(self, function: Function, count: int = 1, holder: str = HOLDER) -> list[str]:
        """Accept and claim executions; return their ids."""
        ids = await self.accepted(function, count)
        claimed = await executions.claim(self.db, [claim(each, holder) for each in ids])
        assert all(claimed)
        return ids

    def finished(self, function: Function, **changes: Any) -> ExecutionFinished:
        given: dict[str, Any] = {
            "execution_id": new_record_id(),
            "function_id": function.id,
            "environment_id": function.environment_id,
            "version_id": function.version.id,
            "kind": "neo",
            "status": "completed",
            "params": "{}",
            "result": '{"ok":true}',
            "result_defined": True,
            "failure": None,
            "started_at_ms": now_ms(),
            "finished_at_ms": now_ms() + 7,
            "duration_ms": 7.0,
            "timings": Timings(handler_ms=7.0),
        }
        return ExecutionFinished(**{**given, **changes})

    def task(self, **changes: Any) -> NewTask:
        given: dict[str, Any] = {
            "id": new_record_id(),
            "environment_id": self.environment_id,
            "function_name": "greeter",
        }
        return NewTask(**{**given, **changes})

    def direct_task(self, **changes: Any) -> DirectTask:
        given: dict[str, Any] = {
            "id": new_record_id(),
            "environment_id": self.environment_id,
            "function_name": "greeter",
            "run_id": new_record_id(),
            "holder": HOLDER,
            "lease_s": 60.0,
        }
        return DirectTask(**{**given, **changes})

    async def task_row(self, task_id: str) -> Task:
        found = await tasks.find_task(self.db, self.environment_id, task_id)
        assert found is not None
        return found

    def api_request(self, **changes: Any) -> ApiRequestFinished:
        given: dict[str, Any] = {
            "request_id": new_record_id(),
            "function_id": "func_0123456789",
            "environment_id": self.environment_id,
            "function_name": "greeter",
            "call": ApiCall(method="GET", path="/"),
            "status_code": 200,
            "failure": None,
            "started_at_ms": now_ms(),
            "duration_ms": 12.0,
        }
        return ApiRequestFinished(**{**given, **changes})


def claim(execution_id: str, holder: str = HOLDER, lease_s: float = 60.0) -> Claim:
    return Claim(id=execution_id, holder=holder, lease_s=lease_s, version_id="0" * 24)


def success(execution_id: str, holder: str = HOLDER, **changes: Any) -> Settlement:
    given: dict[str, Any] = {
        "id": execution_id,
        "holder": holder,
        "failure": None,
        "result": b"1",
        "result_defined": True,
        "duration_ms": 5.0,
        "timings": Timings(handler_ms=5.0),
    }
    return Settlement(**{**given, **changes})


def failure(execution_id: str, holder: str = HOLDER) -> Settlement:
    return success(execution_id, holder, failure=FAILURE, result=None, result_defined=False)


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


async def ledger_of(db: Database, function_id: str) -> dict[str, int]:
    row = next(each for each in await executions.ledger(db) if each.function_id == function_id)
    assert row.drift == 0
    counts = {
        name: getattr(row, name) for name in ("accepted", "queued", "running", "completed", "failed", "cancelled")
    }
    return {name: count for name, count in counts.items() if count}


async def age(db: Database, by: timedelta) -> None:
    await db.execute("UPDATE executions SET started_at = started_at - $1::interval", by)
