import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from services.invoker.pool.assignment import Assignment, FailedStart, Group, Lease
from services.invoker.pool.function import FunctionCode
from services.invoker.sandbox.states import KillReason, WorkerState
from shared.domain.errors import FunctionNotFoundError, StartFailedError, ThrottledError, UnavailableError
from shared.domain.outcome import Crashed, Timings
from tests.support.eventually import eventually


@dataclass(eq=False)
class FakeWorker:
    """A worker with no process."""

    state: WorkerState = WorkerState.IDLE
    used_at: float = 0.0
    ended: KillReason | None = None

    def end(self, reason: KillReason) -> None:
        assert self.ended is None, "ended twice"
        self.ended, self.state = reason, WorkerState.ENDING


@dataclass
class Rig:
    """An assignment whose starts are finished by hand."""

    assignment: "Assignment[FakeWorker]"
    starts: "list[Group[FakeWorker]]" = field(default_factory=list)
    ended: list[FakeWorker] = field(default_factory=list)

    async def call(self, version: "FunctionCode", deadline_s: float = 5.0) -> "Lease[FakeWorker]":
        lease = self.assignment.take(version) or await self.assignment.wait(version, "id", deadline_s)
        assert isinstance(lease, Lease)
        return lease

    def finish(self, which: int = 0) -> FakeWorker:
        worker = FakeWorker()
        self.assignment.offer(self.starts.pop(which), worker, Timings(cold_start=True))
        return worker

    def release(self, lease: "Lease[FakeWorker]") -> None:
        self.assignment.offer(lease.group, lease.worker)


def rig(max_workers: int = 4, per_function: int = 3, patience_s: float = 0.01) -> Rig:
    made: list[Rig] = []

    def retire(worker: FakeWorker, reason: KillReason) -> None:
        worker.end(reason)
        made[0].ended.append(worker)

    made.append(
        Rig(
            Assignment(
                max_workers=max_workers,
                max_per_function=per_function,
                patience_s=patience_s,
                start=lambda group, _: made[0].starts.append(group),
                retire=retire,
            )
        )
    )
    return made[0]


def version(name: str, max_workers: int | None = None) -> FunctionCode:
    return FunctionCode(
        version_id=name, function_id=f"func_{name[0]}", name=name, runtime="node20", convention="lambda",
        handler="index.handler", memory_mb=128, timeout_s=3, max_workers=max_workers,
    )  # fmt: skip


@pytest.fixture
async def tasks() -> AsyncIterator[asyncio.TaskGroup]:
    async with asyncio.TaskGroup() as group:
        yield group


async def test_the_first_call_starts_a_worker_at_once(tasks: asyncio.TaskGroup) -> None:
    it = rig()
    call = tasks.create_task(it.call(version("a")))
    await asyncio.sleep(0)
    assert len(it.starts) == 1
    worker = it.finish()

    lease = await call
    assert worker is lease.worker
    assert lease.start is not None


async def test_an_idle_worker_is_taken_without_waiting(tasks: asyncio.TaskGroup) -> None:
    it = rig()
    call = tasks.create_task(it.call(version("a")))
    await asyncio.sleep(0)
    it.finish()
    first = await call
    it.release(first)

    second = it.assignment.take(version("a"))
    assert second is not None
    assert first.worker is second.worker
    assert it.assignment.take(version("a")) is None
    assert it.assignment.take(version("b")) is None


async def test_the_most_recently_used_worker_is_taken_first(tasks: asyncio.TaskGroup) -> None:
    it = rig(patience_s=0)
    calls = [tasks.create_task(it.call(version("a"))) for _ in range(2)]
    await eventually(lambda: len(it.starts) == 2)
    it.finish()
    it.finish()
    one, two = [await call for call in calls]
    it.release(one)
    it.release(two)

    taken = it.assignment.take(version("a"))
    assert taken is not None
    assert two.worker is taken.worker


async def test_a_quick_worker_serves_those_who_wait_and_no_other_is_started(tasks: asyncio.TaskGroup) -> None:
    it = rig(patience_s=60)
    calls = [tasks.create_task(it.call(version("a"))) for _ in range(10)]
    await asyncio.sleep(0)
    it.finish()
    for call in calls:
        it.release(await call)

    assert it.starts == []


async def test_calls_that_lose_patience_get_workers_up_to_the_cap(tasks: asyncio.TaskGroup) -> None:
    it = rig(per_function=3, patience_s=0.005)
    calls = [tasks.create_task(it.call(version("a"))) for _ in range(6)]

    await eventually(lambda: len(it.starts) == 3)
    await asyncio.sleep(0.03)
    assert len(it.starts) == 3
    for _ in range(3):
        it.finish()
    for call in calls:
        it.release(await call)


async def test_a_functions_own_cap_wins(tasks: asyncio.TaskGroup) -> None:
    it = rig(per_function=3, patience_s=0)
    calls = [tasks.create_task(it.call(version("a", max_workers=1))) for _ in range(3)]
    await asyncio.sleep(0.02)

    assert len(it.starts) == 1
    it.finish()
    for call in calls:
        it.release(await call)


async def test_calls_are_served_in_order_of_arrival(tasks: asyncio.TaskGroup) -> None:
    it = rig(per_function=1)
    served: list[int] = []

    async def call(number: int) -> None:
        lease = await it.call(version("a"))
        served.append(number)
        it.release(lease)

    for number in range(5):
        tasks.create_task(call(number))
    await asyncio.sleep(0)
    it.finish()
    await eventually(lambda: len(served) == 5)

    assert served == [0, 1, 2, 3, 4]


async def test_a_call_past_its_deadline_is_throttled_and_forgotten() -> None:
    it = rig()

    with pytest.raises(ThrottledError):
        await it.call(version("a"), deadline_s=0.01)
    assert it.assignment.waiting == 0
    it.finish()
    assert it.assignment.take(version("a")) is not None


async def test_a_cancelled_call_gives_back_the_worker_it_was_just_given() -> None:
    it = rig()
    call = asyncio.ensure_future(it.call(version("a")))  # noqa: TID251 - cancelled by hand
    await asyncio.sleep(0)
    it.finish()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert it.assignment.take(version("a")) is not None
    assert it.assignment.waiting == 0


async def test_a_failed_start_is_told_to_one_call_and_tried_again_for_the_next(tasks: asyncio.TaskGroup) -> None:
    it = rig(per_function=1)
    first = tasks.create_task(it.assignment.wait(version("a"), "id", 5))
    second = tasks.create_task(it.call(version("a")))
    await asyncio.sleep(0)
    failure = FailedStart(outcome=Crashed(exit_code=1), timings=Timings())
    it.assignment.start_failed(it.starts.pop(), failure)

    assert failure is await first
    assert len(it.starts) == 1
    it.finish()
    await second


async def test_a_start_that_the_platform_could_not_make_is_raised() -> None:
    it = rig()
    call = asyncio.ensure_future(it.call(version("a")))  # noqa: TID251 - fails by design
    await asyncio.sleep(0)
    it.assignment.start_failed(it.starts.pop(), StartFailedError("no"))

    with pytest.raises(StartFailedError):
        await call
    assert it.assignment.size == 0


async def test_a_dead_worker_is_not_handed_out(tasks: asyncio.TaskGroup) -> None:
    it = rig()
    call = tasks.create_task(it.call(version("a")))
    await asyncio.sleep(0)
    worker = it.finish()
    it.release(await call)
    worker.state = WorkerState.GONE

    assert it.assignment.take(version("a")) is None
    assert it.assignment.size == 0


async def test_at_the_total_cap_the_least_recently_used_idle_worker_goes(tasks: asyncio.TaskGroup) -> None:
    it = rig(max_workers=2)
    workers = []
    for name in ("a", "b"):
        call = tasks.create_task(it.call(version(name)))
        await asyncio.sleep(0)
        workers.append(it.finish())
        it.release(await call)
    workers[0].used_at, workers[1].used_at = 2.0, 1.0

    call = tasks.create_task(it.call(version("c")))
    await asyncio.sleep(0)
    assert [workers[1]] == it.ended
    assert workers[1].ended is KillReason.EVICTED
    it.finish()
    await call


async def test_a_version_without_workers_gets_one_when_all_are_busy(tasks: asyncio.TaskGroup) -> None:
    it = rig(max_workers=1)
    call = tasks.create_task(it.call(version("a")))
    await asyncio.sleep(0)
    it.finish()
    busy = await call
    other = tasks.create_task(it.call(version("b")))
    await asyncio.sleep(0)
    assert it.starts == []
    it.release(busy)

    assert [busy.worker] == it.ended
    assert it.starts[0].code.version_id == "b"
    it.finish()
    await other


async def test_versions_that_have_workers_do_not_take_turns_in_starting_anew(tasks: asyncio.TaskGroup) -> None:
    it = rig(max_workers=2, patience_s=0.001)
    leases = {}
    for name in ("a", "b"):
        call = tasks.create_task(it.call(version(name)))
        await asyncio.sleep(0)
        it.finish()
        leases[name] = await call
    it.release(leases["b"])
    impatient = tasks.create_task(it.call(version("a")))
    await asyncio.sleep(0.02)
    assert it.ended == []  # b's worker was busy a moment ago

    leases["b"].worker.used_at -= 10
    await eventually(lambda: it.ended == [leases["b"].worker])
    it.finish()
    it.release(await impatient)


async def test_forgotten_versions_end_when_idle_unless_called_again(
    tasks: asyncio.TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = rig()
    workers = {}
    for name in ("a1", "a2", "b1"):
        call = tasks.create_task(it.call(version(name)))
        await asyncio.sleep(0)
        workers[name] = it.finish()
        it.release(await call)
    it.assignment.forget("func_a")
    lease = it.assignment.take(version("a2"))
    assert lease is not None
    it.release(lease)
    for group in it.assignment._groups.values():
        if group.forgotten_at is not None:
            group.forgotten_at -= 10
    it.assignment.sweep(idle_s=60)

    assert [workers["a1"]] == it.ended
    assert workers["a1"].ended is KillReason.STALE


async def test_long_idle_workers_end(tasks: asyncio.TaskGroup) -> None:
    it = rig()
    call = tasks.create_task(it.call(version("a")))
    await asyncio.sleep(0)
    worker = it.finish()
    it.release(await call)
    it.assignment.sweep(idle_s=60)
    assert it.ended == []
    worker.used_at -= 100
    it.assignment.sweep(idle_s=60)

    assert worker.ended is KillReason.IDLE
    assert it.assignment.size == 0
    assert it.assignment._groups == {}


async def test_closing_tells_every_waiting_call() -> None:
    it = rig()
    calls = [asyncio.ensure_future(it.call(version(name))) for name in "ab"]  # noqa: TID251 - fail by design
    await asyncio.sleep(0)
    it.assignment.abort(UnavailableError("closing"))

    for call in calls:
        with pytest.raises(UnavailableError):
            await call
    assert it.assignment.waiting == 0


async def test_calls_of_one_function_alone_are_told(tasks: asyncio.TaskGroup) -> None:
    it = rig()
    doomed = asyncio.ensure_future(it.call(version("a")))  # noqa: TID251 - fails by design
    spared = tasks.create_task(it.call(version("b")))
    await asyncio.sleep(0)

    it.assignment.abort(FunctionNotFoundError("deleted"), "func_a")

    with pytest.raises(FunctionNotFoundError):
        await doomed
    worker = it.finish(1)
    assert (await spared).worker is worker


async def test_nothing_is_counted_twice_under_a_random_load(tasks: asyncio.TaskGroup) -> None:
    it = rig(max_workers=3, per_function=2, patience_s=0.001)
    rounds = 150
    served = 0

    async def caller(number: int) -> None:
        nonlocal served
        lease = await it.call(version("abcd"[number % 4]))
        await asyncio.sleep(0.001 * (number % 3))
        if number % 7 == 0:
            lease.worker.end(KillReason.ABANDONED)
            it.assignment.lost(lease.group, lease.worker)
        else:
            it.release(lease)
        served += 1
        assert 0 <= it.assignment.size <= 3

    async def starter() -> None:
        while served < rounds:
            if it.starts:
                it.finish()
            await asyncio.sleep(0.0005)

    tasks.create_task(starter())
    for number in range(rounds):
        tasks.create_task(caller(number))
    await eventually(lambda: served == rounds)

    assert it.assignment.size == len(it.assignment.workers()) + len(it.starts)
    assert it.assignment.waiting == 0
