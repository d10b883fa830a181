"""Load from outside: ``wrk`` for closed loops of HTTP, and a plain client for single first calls."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_LATENCY = re.compile(r"^\s+(50|99)(?:\.\d+)?%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_COUNT = re.compile(r"^\s+(\d+) requests in", re.MULTILINE)
_BAD = re.compile(r"^\s+(?:Non-2xx or 3xx responses:\s+(\d+)|Socket errors: (.*))$", re.MULTILINE)
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of load saw. Times in milliseconds; ``errors`` counts answers that were not 2xx and sockets."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def wrk(
    url: str,
    *,
    connections: int,
    seconds: int,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str = "",
) -> Load:
    """
    Run ``wrk`` with one thread.

    Raises
    ------
    SystemExit
        ``wrk`` is not installed; says how to get it.

    """
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("the bench needs wrk: apt-get install wrk")
    flags = [f"-H{name}: {value}" for name, value in (headers or {}).items()]
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "request.lua"
        script.write_text(f'wrk.method = "{method}"\nwrk.body = {_lua(body)}\n')
        command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
        output = subprocess.run(
            [*command, "-s", str(script), *flags, url], capture_output=True, text=True, check=True, timeout=seconds + 60
        ).stdout
    return _parse(output)


def _parse(output: str) -> Load:
    percentiles = {which: float(value) * _UNITS[unit] for which, value, unit in _LATENCY.findall(output)}
    errors = sum(
        int(answers or 0) + sum(map(int, _DIGITS.findall(sockets))) for answers, sockets in _BAD.findall(output)
    )
    return Load(
        requests=int(_first(_COUNT, output)),
        per_second=float(_first(_RATE, output)),
        p50_ms=percentiles["50"],
        p99_ms=percentiles["99"],
        errors=errors,
    )


def _first(pattern: re.Pattern[str], output: str) -> str:
    found = pattern.search(output)
    if found is None:
        raise SystemExit(f"cannot read what wrk printed:\n{output}")
    return found.group(1)


def _lua(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
