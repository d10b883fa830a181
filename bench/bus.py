"""
``python -m bench.bus``: what the bus alone costs, in memory and over RabbitMQ, as JSON.

The answering side echoes. Over RabbitMQ it is a process of its own, as in production; the broker and this
process share the machine with it.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench import machine
from shared.bus.bus import Bus
from shared.bus.memory import MemoryBus
from shared.bus.rabbitmq import RabbitBus
from shared.domain.ids import new_record_id
from shared.messages.messages import InvocationReply, InvokeFunction, RunExecution
from tests.support import backends

CALLERS = 32
SECONDS = 3.0
READY = "ready"
_EVENT = b'{"httpMethod":"GET","path":"/","headers":{"host":"localhost"}}'


def main() -> int:
    """Measure both buses, or be the answering side (``--answer URL``)."""
    parser = argparse.ArgumentParser(prog="bench.bus", description=__doc__)
    parser.add_argument("--answer", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer is not None:
        uvloop.run(_answer(arguments.answer))
        return 0
    report = {"machine": machine.describe(), "memory": uvloop.run(_in_memory()), "rabbitmq": _over_rabbitmq()}
    print(json.dumps(report, indent=2))
    return 0


async def _echo(command: InvokeFunction) -> InvocationReply:
    return InvocationReply(record_id=command.record_id, payload=command.payload)


async def _answer(url: str) -> None:
    bus = RabbitBus(url, replica_id="bench-answers")
    await bus.start()
    await bus.serve_calls(_echo, max_in_flight=256)
    print(READY, flush=True)
    # Ends when the measuring process closes its end of the pipe.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await bus.close()


async def _in_memory() -> dict[str, float]:
    bus = MemoryBus()
    await bus.start()
    await bus.serve_calls(_echo, max_in_flight=256)
    figures = await _measure(bus)
    await bus.close()
    return figures


def _over_rabbitmq() -> dict[str, float]:
    with backends.rabbitmq() as url:
        command = [sys.executable, "-m", "bench.bus", "--answer", url]
        root = Path(__file__).parents[1]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as answering:
            assert answering.stdout is not None
            if not any(line.decode().strip() == READY for line in answering.stdout):
                raise SystemExit("the answering side did not start")
            return uvloop.run(_measure_rabbitmq(url))


async def _measure_rabbitmq(url: str) -> dict[str, float]:
    bus = RabbitBus(url, replica_id="bench-calls")
    await bus.start()
    figures = await _measure(bus)
    await bus.close()
    return figures


async def _measure(bus: Bus) -> dict[str, float]:
    async def call() -> None:
        expires_at_ms = int(time.time() * 1000) + 30_000
        await bus.call(
            InvokeFunction(
                record_id=new_record_id(),
                kind="api",
                function_id="func_0123456789",
                revision=1,
                expires_at_ms=expires_at_ms,
                payload=_EVENT,
            )
        )

    async def send() -> None:
        await bus.send(RunExecution(execution_id=new_record_id(), function_id="func_0123456789"))

    await _closed_loop(call, CALLERS, 0.5)
    alone = await _closed_loop(call, 1, SECONDS)
    together = await _closed_loop(call, CALLERS, SECONDS)
    sends = await _closed_loop(send, CALLERS, SECONDS)
    return {
        "call_p50_ms_at_1": _median_ms(alone),
        "call_p50_ms_at_32": _median_ms(together),
        "calls_per_s_at_32": round(len(together) / SECONDS),
        "confirmed_sends_per_s_at_32": round(len(sends) / SECONDS),
    }


async def _closed_loop(once: Callable[[], Awaitable[None]], callers: int, seconds: float) -> list[float]:
    """Have so many callers do it again and again; return how long each took, in seconds."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < until:
            await once()
            taken.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return taken


def _median_ms(taken: list[float]) -> float:
    return round(sorted(taken)[len(taken) // 2] * 1000, 3)


if __name__ == "__main__":
    sys.exit(main())
