"""Cancels: which travel, how far, and what they hit at which moment."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from inspect import CORO_CREATED, getcoroutinestate
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session

Cancelled = ray.exceptions.TaskCancelledError
Wait = Callable[[Callable[[], object]], None]


@ray.remote
def sleep_for_ever(started: str = "") -> None:
    if started:
        Path(started).touch()
    time.sleep(1000)


@ray.remote
async def wait_for_ever(started: str = "") -> None:
    if started:
        Path(started).touch()
    await asyncio.Event().wait()


@ray.remote
def block_in_get(refs: list[Any], started: str) -> None:
    Path(started).touch()
    ray.get(refs[0])


@ray.remote
def block_in_wait(refs: list[Any], started: str) -> None:
    Path(started).touch()
    ray.wait(refs)


@ray.remote
def one() -> int:
    return 1


@ray.remote
class Actor:
    async def wait(self, started: str = "") -> None:
        await wait_for_ever_here(started)

    async def block_the_loop(self, started: str) -> None:
        Path(started).touch()
        time.sleep(1000)

    async def answer(self) -> int:
        return 1


async def wait_for_ever_here(started: str) -> None:
    if started:
        Path(started).touch()
    await asyncio.Event().wait()


@ray.remote
def parent(folder: str, handle: Any, depth: int) -> None:
    refs = [sleep_for_ever.remote(f"{folder}/task-{depth}"), handle.wait.remote(f"{folder}/call-{depth}")]
    if depth:
        refs.append(parent.options(num_cpus=0).remote(folder, handle, depth - 1))
    ray.get(refs)


async def until(predicate: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not predicate():
            await asyncio.sleep(0.01)


async def test_cancelling_an_await_does_not_travel(tmp_path: Path) -> None:
    ref = sleep_for_ever.remote(str(tmp_path / "started"))
    await until((tmp_path / "started").exists)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ref, 0.05)
    assert await ray.aio.wait([ref], timeout=0.2) == ([], [ref])
    ray.cancel(ref)
    with pytest.raises(Cancelled):
        await ref


async def test_cancelling_travels_on_request(tmp_path: Path) -> None:
    for make in (sleep_for_ever, wait_for_ever, Actor.remote().wait):
        started = tmp_path / f"{id(make)}"
        ref = make.remote(str(started))
        task = asyncio.create_task(ray.cancelling(ref))
        await until(started.exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Cancelled):
            await ref


async def test_cancelling_travels_before_the_awaiting_task_has_begun(tmp_path: Path) -> None:
    ref = sleep_for_ever.remote(str(tmp_path / "started"))
    await until((tmp_path / "started").exists)
    task = asyncio.create_task(ray.cancelling(ref))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(Cancelled):
        await ref
    unawaited = ray.cancelling(one.remote())
    unawaited.close()


async def test_cancelling_gives_values_and_errors() -> None:
    assert await ray.cancelling(one.remote()) == 1
    ref = sleep_for_ever.remote()
    ray.cancel(ref)
    with pytest.raises(Cancelled):
        await ray.cancelling(ref)
    with pytest.raises(TypeError):
        await ray.cancelling(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [block_in_get, block_in_wait])
async def test_tasks_blocked_in_get_and_wait(make: Any, tmp_path: Path) -> None:
    never = sleep_for_ever.remote()
    ref = make.remote([never], str(tmp_path / "started"))
    await until((tmp_path / "started").exists)
    ray.cancel(ref)
    with pytest.raises(Cancelled):
        await ref
    ray.cancel(never)
    with pytest.raises(Cancelled):
        await never


async def test_a_call_that_blocks_its_loop_is_cancelled(tmp_path: Path) -> None:
    actor = Actor.remote()
    ref = actor.block_the_loop.remote(str(tmp_path / "started"))
    await until((tmp_path / "started").exists)
    ray.cancel(ref)
    with pytest.raises(Cancelled):
        await ref
    assert await actor.answer.remote() == 1


async def test_a_stream_is_cancelled(tmp_path: Path) -> None:
    @ray.remote
    def numbers() -> Any:
        yield 1
        time.sleep(1000)

    @ray.remote
    async def async_numbers() -> Any:
        yield 1
        await asyncio.Event().wait()

    for make in (numbers, async_numbers):
        stream = make.remote()
        assert await (await anext(stream)) == 1
        ray.cancel(stream)
        with pytest.raises(Cancelled):
            await (await anext(stream))
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(Cancelled):
            await stream.completed()


async def test_cleaning_up_is_not_interrupted(tmp_path: Path) -> None:
    @ray.remote
    async def careful(folder: str) -> None:
        try:
            Path(folder, "started").touch()
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0.05)
            Path(folder, "cleaned").touch()

    ref = careful.remote(str(tmp_path))
    await until((tmp_path / "started").exists)
    ray.cancel(ref)
    ray.cancel(ref)
    with pytest.raises(Cancelled):
        await ref
    assert (tmp_path / "cleaned").exists()


async def test_children_are_cancelled_too(tmp_path: Path) -> None:
    actor = Actor.remote()
    ref = parent.options(num_cpus=0).remote(str(tmp_path), actor, 1)
    await until(lambda: len(list(tmp_path.iterdir())) == 4)
    ray.cancel(ref)
    with pytest.raises(Cancelled):
        await ref
    # All CPUs are free again only when the sleeping children are gone.
    assert await asyncio.gather(*[one.options(num_cpus=4).remote()]) == [1]
    assert await actor.answer.remote() == 1


async def test_not_recursive_leaves_children(tmp_path: Path) -> None:
    @ray.remote
    class Keeper:
        def __init__(self) -> None:
            self.refs: list[Any] = []

        def keep(self, refs: list[Any]) -> None:
            self.refs += refs

        def kept(self) -> list[Any]:
            return self.refs

    @ray.remote(num_cpus=0)
    def start(keeper: Any) -> None:
        refs = [sleep_for_ever.remote()]
        ray.get(keeper.keep.remote(refs))
        ray.get(refs)

    keeper = Keeper.remote()
    ref = start.remote(keeper)
    while not (kept := await keeper.kept.remote()):
        pass
    ray.cancel(ref, recursive=False)
    with pytest.raises(Cancelled):
        await ref
    assert await ray.aio.wait(kept, timeout=0.3) == ([], kept)
    ray.cancel(kept[0])
    with pytest.raises(Cancelled):
        await kept[0]


async def test_a_scope_that_is_left_early_ends_everything(tmp_path: Path) -> None:
    outside = sleep_for_ever.remote(str(tmp_path / "outside"))
    await until((tmp_path / "outside").exists)
    actor = Actor.remote()
    refs: list[Any] = []

    async def start() -> None:
        refs.append(wait_for_ever.remote())

    with pytest.raises(ZeroDivisionError):
        async with ray.cancel_scope() as scope:
            refs += [parent.options(num_cpus=0).remote(str(tmp_path), actor, 1), actor.wait.remote()]
            refs += [sleep_for_ever.remote() for _ in range(10)]
            await asyncio.create_task(start())
            # Its own tasks wait behind the ten, unless they came first.
            await until(lambda: (tmp_path / "call-0").exists() and (tmp_path / "call-1").exists())
            raise ZeroDivisionError
    assert scope.cancel_called
    for ref in refs:
        with pytest.raises(Cancelled):
            await asyncio.wait_for(ref, 60)
    assert await ray.aio.wait([outside], timeout=0.1) == ([], [outside])
    assert await actor.answer.remote() == 1
    ray.cancel(outside)
    with pytest.raises(Cancelled):
        await outside
    assert await one.options(num_cpus=4).remote() == 1


async def test_a_scope_that_is_left_normally_cancels_nothing() -> None:
    async with ray.cancel_scope() as scope:
        ref = one.remote()
    assert await ref == 1
    assert not scope.cancel_called


def test_scopes_nest_and_work_in_threads() -> None:
    with ray.cancel_scope() as outer:
        kept = wait_for_ever.remote()
        with pytest.raises(KeyError), ray.cancel_scope():
            dropped = wait_for_ever.remote()
            raise KeyError
        with pytest.raises(Cancelled):
            ray.get(dropped, timeout=60)
        assert ray.wait([kept], timeout=0.2) == ([], [kept])
        outer.cancel()
    with pytest.raises(Cancelled):
        ray.get(kept, timeout=60)
    with pytest.raises(RuntimeError):
        ray.cancel_scope().cancel()


@ray.remote(num_cpus=0)
class Scoped:
    """A process with a cancel scope of its own."""

    def start(self) -> list[Any]:
        self.scope = ray.cancel_scope()
        with self.scope:
            return [wait_for_ever.options(num_cpus=0).remote()]

    def cancel(self) -> None:
        self.scope.cancel()


async def test_scopes_of_several_processes_are_not_each_others() -> None:
    """The processes do the same, so all that each of them counts is equal."""
    actors = [Scoped.remote() for _ in range(3)]
    refs = [(await actor.start.remote())[0] for actor in actors]
    await actors[1].cancel.remote()
    with pytest.raises(Cancelled):
        await asyncio.wait_for(refs[1], 60)
    kept = [refs[0], refs[2]]
    assert await ray.aio.wait(kept, timeout=0.5) == ([], kept)
    for ref in kept:
        ray.cancel(ref)


async def test_a_signal_that_is_lost_is_sent_again(tmp_path: Path) -> None:
    @ray.remote
    def lose_one(started: str) -> None:
        came: list[int] = []
        interrupted = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
        Path(started).touch()
        while not came:
            time.sleep(0.001)
        signal.signal(signal.SIGINT, interrupted)
        time.sleep(1000)

    ref = lose_one.remote(str(tmp_path / "started"))
    await until((tmp_path / "started").exists)
    ray.cancel(ref)
    with pytest.raises(Cancelled):
        await asyncio.wait_for(ref, 60)


@pytest.mark.parametrize("waits", [False, True])
async def test_a_cancel_between_claim_and_first_step(tmp_path: Path, waits: bool) -> None:
    @ray.remote
    class Host:
        async def claim_and_look(self, claimed: str, waits: bool) -> None:
            """Claim the call that is queued, and look for cancels before it takes a step."""
            host = get_session()._worker.async_host
            while not host._claimed:
                host._pump()
            (call,) = host._claimed
            call.definition.calls_that_wait = waits  # whether it gets an asyncio task of its own
            Path(claimed).touch()
            while not host._executor.is_cancelled(call.record):
                time.sleep(0.001)
            host._look_for_cancels()

        async def victim(self) -> str:
            return "ran"

    host = Host.remote()
    claimed = tmp_path / "claimed"
    look, victim = host.claim_and_look.remote(str(claimed), waits), host.victim.remote()
    await until(claimed.exists)
    ray.cancel(victim)
    with pytest.raises(Cancelled):
        await asyncio.wait_for(victim, 60)
    await look
    assert await host.victim.remote() == "ran"


async def test_a_cancel_before_the_first_step_of_a_call_with_a_task_of_its_own(tmp_path: Path) -> None:
    @ray.remote
    class Host:
        async def look(self, begun: str) -> bool:
            """Look for cancels when the next call has an asyncio task that has not taken a step."""
            host = get_session()._worker.async_host
            unstarted: list[int] = []
            while not unstarted:
                await asyncio.sleep(0)
                unstarted = [r for r, t in host._tasks.items() if getcoroutinestate(t.get_coro()) == CORO_CREATED]
            (record,) = unstarted
            Path(begun).touch()
            while not host._executor.is_cancelled(record):
                time.sleep(0.001)
            host._look_for_cancels()
            return record in host._tasks

        async def victim(self, none: None) -> str:
            return "ran"

    host = Host.remote()
    begun = tmp_path / "begun"
    look, victim = host.look.remote(str(begun)), host.victim.remote(ray.put(None))
    await until(begun.exists)
    ray.cancel(victim)
    with pytest.raises(Cancelled):
        await asyncio.wait_for(victim, 60)
    assert await look is False
    assert await host.victim.remote(None) == "ran"


@pytest.mark.parametrize("seed", range(4))
async def test_cancels_at_any_moment_are_well_defined(seed: int) -> None:
    """A cancelled task either gives its value or raises TaskCancelledError, and hits nothing else."""
    rng = random.Random(seed)

    @ray.remote
    def short(ms: float) -> str:
        deadline = time.monotonic() + ms / 1000
        while time.monotonic() < deadline:
            pass
        return "sync"

    @ray.remote
    async def async_short(ms: float) -> str:
        await asyncio.sleep(ms / 1000)
        return "async"

    outcomes = set()
    for _ in range(150):
        victim = rng.choice([short, async_short]).remote(rng.random() * 3)
        bystander = rng.choice([short, async_short]).remote(rng.random())
        await asyncio.sleep(rng.random() * 0.004)
        ray.cancel(victim)
        try:
            outcomes.add(await asyncio.wait_for(victim, 60))
        except Cancelled:
            outcomes.add("cancelled")
        assert await asyncio.wait_for(bystander, 60) in ("sync", "async"), f"seed {seed}"
    assert "cancelled" in outcomes


async def test_force_spares_the_neighbours(tmp_path: Path) -> None:
    @ray.remote(max_retries=0)
    async def neighbour(folder: str) -> int:
        Path(folder, f"run-{os.getpid()}").touch()
        while not Path(folder, "go").exists():
            await asyncio.sleep(0.01)
        return os.getpid()

    @ray.remote(max_retries=0)
    async def victim(folder: str) -> None:
        Path(folder, "victim").write_text(str(os.getpid()))
        await asyncio.Event().wait()

    kept = [neighbour.remote(str(tmp_path)) for _ in range(3)]
    ref = victim.remote(str(tmp_path))
    await until(lambda: (tmp_path / "victim").exists() and list(tmp_path.glob("run-*")))
    ray.cancel(ref, force=True)
    with pytest.raises((Cancelled, ray.exceptions.WorkerCrashedError)):
        await ref
    (tmp_path / "go").touch()
    assert len(await asyncio.gather(*kept)) == 3
