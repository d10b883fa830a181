import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.process.supervise import Supervisor, TaskDiedError
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[3]


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ZeroDivisionError("the stone broke")


async def test_a_critical_task_that_dies_ends_the_wait_with_its_error() -> None:
    async with Supervisor() as supervisor:
        supervisor.spawn("stone", fail())
        with pytest.raises(TaskDiedError, match="'stone' failed: ZeroDivisionError: the stone broke") as caught:
            await asyncio.wait_for(supervisor.wait(), 5)

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_task_that_is_not_critical_is_only_logged() -> None:
    with capture_logs() as logs:
        async with Supervisor() as supervisor:
            task = supervisor.spawn("miller", fail(), critical=False)
            await asyncio.wait({task})
            supervisor.stop()
            await asyncio.wait_for(supervisor.wait(), 5)

    assert [(line["event"], line["task"]) for line in logs] == [("task_failed", "miller")]


async def test_a_task_may_return() -> None:
    async with Supervisor() as supervisor:
        await supervisor.spawn("once", asyncio.sleep(0))
        supervisor.stop()
        await asyncio.wait_for(supervisor.wait(), 5)


async def test_closing_cancels_and_awaits_everything() -> None:
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async with Supervisor() as supervisor:
        for name in ("a", "b"):
            supervisor.spawn(name, work(name))
        await asyncio.sleep(0)
        assert supervisor.running() == ["a", "b"]

    assert sorted(ended) == ["a", "b"]
    assert supervisor.running() == []


async def test_closing_does_not_wait_longer_than_its_deadline_for_a_stubborn_task() -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    supervisor = Supervisor(close_timeout_s=0.05)
    task = supervisor.spawn("mule", stubborn())
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await asyncio.wait_for(supervisor.close(), 5)
    released.set()
    await task

    assert [(line["event"], line["task"]) for line in logs] == [("task_would_not_stop", "mule")]


async def test_a_closed_supervisor_takes_no_task() -> None:
    supervisor = Supervisor()
    await supervisor.close()

    with pytest.raises(RuntimeError, match="closed"):
        supervisor.spawn("late", forever())


async def test_a_child_closes_alone_but_fails_with_its_parent() -> None:
    async with Supervisor() as parent:
        async with parent.child() as quiet:
            quiet.spawn("quiet", forever())
        assert quiet.running() == []
        child = parent.child()
        child.spawn("stone", fail())
        with pytest.raises(TaskDiedError, match="stone"):
            await asyncio.wait_for(parent.wait(), 5)
        await child.close()


SERVICE = """
import asyncio, sys
from shared.process.logging import configure
from shared.process.settings import LogSettings
from shared.process.supervise import serve

configure(LogSettings(), service="test")

MODE = sys.argv[1]

def say(text):
    print(text, flush=True)

class Service:
    async def drain(self):
        say("draining")
        if MODE == "slow":
            await asyncio.sleep(60)
        say("drained")

async def die():
    raise RuntimeError("gone")

async def build(stack, supervisor):
    stack.callback(say, "closed first opened")
    stack.callback(say, "closed last opened")
    if MODE == "building":
        say("up")
        await asyncio.sleep(60)
    if MODE == "broken":
        raise OSError("port taken")
    if MODE == "dying":
        supervisor.spawn("heart", die())
    say("up")
    return Service()

sys.exit(serve(build, drain_s=float(sys.argv[2])))
"""


@contextmanager
def service(mode: str, drain_s: float = 30.0) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, mode, str(drain_s)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> list[str]:
    output, _ = process.communicate(timeout=15)
    return output.split("\n")[:-1]


def wait_for(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdout is not None
    while (seen := process.stdout.readline().strip()) != line:
        assert seen, f"ended before {line!r}"


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_then_closes_last_opened_first(which: signal.Signals) -> None:
    with service("plain") as process:
        wait_for(process, "up")
        process.send_signal(which)

        assert said(process) == ["draining", "drained", "closed last opened", "closed first opened"]
        assert process.returncode == 0


def test_a_second_signal_cuts_the_drain_short_and_still_closes() -> None:
    with service("slow") as process:
        wait_for(process, "up")
        process.send_signal(signal.SIGTERM)
        wait_for(process, "draining")
        process.send_signal(signal.SIGTERM)

        assert said(process) == ["closed last opened", "closed first opened"]
        assert process.returncode == 0


def test_the_drain_ends_at_its_deadline() -> None:
    with service("slow", drain_s=0.1) as process:
        wait_for(process, "up")
        process.send_signal(signal.SIGTERM)

        assert said(process) == ["draining", "closed last opened", "closed first opened"]


def test_a_signal_while_starting_undoes_what_was_opened() -> None:
    with service("building") as process:
        wait_for(process, "up")
        process.send_signal(signal.SIGTERM)

        assert said(process) == ["closed last opened", "closed first opened"]
        assert process.returncode == 0


def test_a_dead_critical_task_drains_the_service_and_fails_it() -> None:
    with service("dying") as process:
        assert said(process) == ["up", "draining", "drained", "closed last opened", "closed first opened"]
        assert process.returncode == 1


def test_a_failed_start_undoes_what_was_opened_and_fails() -> None:
    with service("broken") as process:
        assert said(process) == ["closed last opened", "closed first opened"]
        assert process.returncode == 1


async def test_stop_ends_the_wait() -> None:
    async with Supervisor() as supervisor:
        waiting = supervisor.spawn("waiting", supervisor.wait())
        supervisor.stop()
        await eventually(waiting.done)
