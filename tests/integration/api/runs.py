"""What the tests of runs have in common: scripted outcomes, and waiting for a record."""

from typing import Any

from shared.domain.outcome import Outcome
from tests.integration.api.harness import Running
from tests.support.eventually import eventually


def returning(outcome: Outcome) -> Any:
    async def run(_event: bytes) -> Outcome:
        return outcome

    return run


async def recorded(api: Running, execution_id: str, name: str = "greet") -> dict[str, Any]:
    """Return the record of a run once it is there."""

    async def look() -> dict[str, Any] | None:
        answer = await api.http.get(f"/v1/functions/{name}/executions/{execution_id}")
        return dict(answer.json()["data"]) if answer.status_code == 200 else None

    found = await eventually(look)
    return found or {}
