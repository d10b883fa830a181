"""
``./tidemill bench``: every figure the README quotes, measured on this machine, as a table and as JSON.

Load generator, broker, database and functions share the machine with the platform, so absolute figures say
little elsewhere; run it beside nothing else. ``--only NAME`` runs some scenarios; ``--out FILE`` says where
the JSON goes (default ``bench/results/latest.json``).
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import machine, scenarios
from bench.gateways import gateways
from bench.tasks import tasks

RESULTS = Path(__file__).with_name("results") / "latest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: ``met`` is None where there is no target."""

    measure: str
    measured: str
    target: str
    met: bool | None


def main() -> int:
    """Run the chosen scenarios; exit 0 even when a target is missed: a bench reports, it does not judge."""
    known: dict[str, Callable[[], Sequence[scenarios.Figure]]] = {
        "engine": scenarios.engine,
        "all-in-one": scenarios.all_in_one,
        "rabbitmq": scenarios.rabbitmq,
        "many-functions": scenarios.many_functions,
        "stored-executions": scenarios.stored_executions,
        "stored-requests": scenarios.stored_requests,
        "tasks": tasks,
        "gateways": gateways,
    }
    parser = argparse.ArgumentParser(prog="tidemill bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=known, help="run this scenario; may be given again")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    arguments = parser.parse_args()
    print(f"machine: {machine.describe()}", flush=True)
    rows: list[Row] = []
    for name in arguments.only or known:
        print(f"running: {name} …", file=sys.stderr, flush=True)
        rows += [_row(figure) for figure in known[name]()]
    print(table(rows))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine.describe(), "figures": [asdict(row) for row in rows]}
    arguments.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(f"written to {arguments.out}")
    return 0


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| measure | measured | target | met |", "|---|---|---|---|"]
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "**no**"
        lines.append(f"| {row.measure} | {row.measured} | {row.target} | {met} |")
    return "\n".join(lines)


def _row(figure: scenarios.Figure) -> Row:
    sign = "≥" if figure.at_least else "≤"
    return Row(
        measure=figure.measure,
        measured=f"{figure.value:,.{figure.digits}f} {figure.unit}",
        target=f"{sign} {figure.target:,g} {figure.unit}" if figure.target is not None else "",
        met=None if figure.target is None else figure.met(),
    )


if __name__ == "__main__":
    sys.exit(main())
