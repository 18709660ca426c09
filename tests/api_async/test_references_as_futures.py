"""References as futures: what asyncio's functions make of them, and who is cancelled by what."""

import asyncio
import contextvars
import copy
import gc
import os
import pickle
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

import ray_async as ray
from ray_async.exceptions import ActorDiedError, RayTaskError, TaskCancelledError, WorkerCrashedError

# libuv opens one pipe for signals, with the first loop, and keeps it for the life of the process.
uvloop.new_event_loop().close()

TIMEOUT_S = 60
Loop = Callable[[], asyncio.AbstractEventLoop]


def python_tasks() -> asyncio.AbstractEventLoop:
    """A loop whose tasks are asyncio's own in Python, not those in C."""
    loop = asyncio.new_event_loop()
    task = asyncio.tasks._PyTask
    loop.set_task_factory(lambda loop, coroutine, **options: task(coroutine, loop=loop, **options))
    return loop


def eager_tasks() -> asyncio.AbstractEventLoop:
    """A loop whose tasks begin at once, where asyncio has such."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
    return loop


LOOPS: list[Loop] = [asyncio.new_event_loop, uvloop.new_event_loop, python_tasks, eager_tasks]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop", "python tasks", "eager tasks"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a new loop of each kind, and fails when it does not come to an end."""

    async def bounded(main: Coroutine[Any, Any, Any]) -> Any:
        async with asyncio.timeout(TIMEOUT_S):
            return await main

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(bounded(main))

    return run


Run = Callable[[Coroutine[Any, Any, Any]], Any]


@ray.remote
def double(x: int) -> int:
    return 2 * x


@ray.remote
def fail(kind: type[BaseException]) -> None:
    raise kind("told to")


@ray.remote
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@ray.remote
class Gate:
    """Calls of `wait` return when `open` was called."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.cancelled = 0

    async def wait(self) -> str:
        try:
            await self.event.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "open"

    async def open(self) -> int:
        self.event.set()
        return self.cancelled

    async def echo(self, value: Any) -> Any:
        return value

    def exit(self) -> None:
        os._exit(3)


class Unloadable:
    """Pickled, and never loaded again."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


async def waited(ref: Any) -> Any:
    done, pending = await asyncio.wait([ref])
    assert not pending
    return next(iter(done)).result()


async def completed(ref: Any) -> Any:
    (each,) = asyncio.as_completed([ref])
    return await each


async def grouped(ref: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ref.as_coroutine())
    return task.result()


async def gathered(ref: Any) -> Any:
    return (await asyncio.gather(ref))[0]


async def timed(ref: Any) -> Any:
    async with asyncio.timeout(TIMEOUT_S):
        return await ref


async def shielded(ref: Any) -> Any:
    return await asyncio.shield(ref)


async def wait_for(ref: Any) -> Any:
    return await asyncio.wait_for(ref, TIMEOUT_S)


async def ensured(ref: Any) -> Any:
    return await asyncio.ensure_future(ref)


async def as_future(ref: Any) -> Any:
    return await ref.as_future()


async def created(ref: Any) -> Any:
    return await asyncio.create_task(ref.as_coroutine())


FORMS = [waited, completed, grouped, gathered, timed, shielded, wait_for, ensured, as_future, created]


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """The value, or the class of what is raised; the only one of a group."""
    try:
        return await awaitable
    except BaseExceptionGroup as group:
        return type(group.exceptions[0])
    except BaseException as error:
        return type(error)


@pytest.mark.parametrize("form", FORMS)
def test_outcomes(run: Run, form: Callable[[Any], Awaitable[Any]]) -> None:
    async def main() -> None:
        gate = Gate.remote()
        for value in (3, None, "text", (1, 2), (), ValueError("as value"), [double]):
            seen = await form(gate.echo.remote(value))
            assert repr(seen) == repr(value)
            assert repr(await form(ray.put(value))) == repr(value)
        assert await form(double.remote(4)) == 8
        assert issubclass(await outcome(form(fail.remote(KeyError))), (RayTaskError, KeyError))
        assert issubclass(await outcome(form(fail.remote(StopIteration))), RayTaskError)
        assert await outcome(form(die.options(max_retries=0).remote())) is WorkerCrashedError
        assert await outcome(form(gate.echo.remote(Unloadable()))) is not None

        pending = gate.wait.remote()
        waiting = asyncio.ensure_future(outcome(form(pending)))
        await asyncio.sleep(0)
        ray.cancel(pending)
        assert issubclass(await waiting, TaskCancelledError)

        waiting = asyncio.ensure_future(outcome(form(gate.wait.remote())))
        await asyncio.sleep(0)
        gate.exit.remote()
        assert await waiting is ActorDiedError

    run(main())


@pytest.mark.parametrize("form", FORMS)
def test_a_cancelled_wait_ends_and_the_work_goes_on(run: Run, form: Callable[[Any], Awaitable[Any]]) -> None:
    async def main() -> None:
        gate = Gate.remote()
        ref = gate.wait.remote()
        for _ in range(2):
            task = asyncio.ensure_future(form(ref))
            other = asyncio.ensure_future(gathered(ref))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel("enough")
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not other.done()
            other.cancel()
            with pytest.raises(asyncio.CancelledError):
                await other
        last = asyncio.ensure_future(gathered(ref))
        assert await gate.open.remote() == 0
        assert await form(ref) == "open"
        assert await last == "open"

    run(main())


@pytest.mark.parametrize("form", FORMS)
def test_an_unloadable_value_raises(run: Run, form: Callable[[Any], Awaitable[Any]]) -> None:
    async def main() -> None:
        with pytest.raises((Exception, ExceptionGroup)):
            await form(Gate.remote().echo.remote(Unloadable()))

    run(main())


def test_a_reference_is_a_future_on_a_loop(run: Run) -> None:
    async def main() -> None:
        gate = Gate.remote()
        ref = gate.wait.remote()
        assert asyncio.isfuture(ref)
        assert not asyncio.iscoroutine(ref)
        taken: Any = asyncio.ensure_future(ref)
        assert taken is ref
        assert ref.get_loop() is asyncio.get_running_loop()
        assert not ref.done()
        assert ref._state == "PENDING"
        assert not ref.cancelled()
        assert not ref.cancel()  # nobody waits
        for question in (ref.result, ref.exception):
            with pytest.raises(asyncio.InvalidStateError):
                question()
        await gate.open.remote()
        assert await ref == "open"
        assert ref.done()
        assert ref._state == "FINISHED"
        assert ref.result() == "open"
        assert ref.exception() is None
        failed = fail.remote(KeyError)
        await asyncio.wait([failed])  # type: ignore[type-var]
        assert isinstance(failed.exception(), KeyError)
        with pytest.raises(KeyError):
            failed.result()

    run(main())


def test_there_is_no_future_without_a_loop() -> None:
    ref = double.remote(1)
    assert not asyncio.isfuture(ref)
    with pytest.raises(RuntimeError):
        ref.add_done_callback(print)
    with pytest.raises(RuntimeError):
        ref.get_loop()
    assert ray.get(ref) == 2
    assert ref.done()
    assert ref.result() == 2
    with pytest.raises(TypeError):
        _, _ = ref  # type: ignore[misc]


@pytest.mark.parametrize("make", LOOPS)
def test_run_until_complete(make: Loop) -> None:
    loop = make()
    try:
        assert loop.run_until_complete(double.remote(2)) == 4
        with pytest.raises(KeyError):
            loop.run_until_complete(fail.remote(KeyError))
    finally:
        loop.close()


def test_two_gathers_over_one_reference(run: Run) -> None:
    async def main() -> None:
        gate = Gate.remote()
        ref = gate.wait.remote()
        first, second = asyncio.gather(ref, ref), asyncio.gather(ref, ref)
        waiting = asyncio.ensure_future(asyncio.wait([ref]))  # type: ignore[type-var]
        awaiting = asyncio.ensure_future(timed(ref))
        await asyncio.sleep(0)
        first.cancel("only this one")
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        assert not waiting.done()
        assert not awaiting.done()
        assert not ref.done()
        assert await gate.open.remote() == 0
        assert list(await second) == ["open", "open"]
        assert await awaiting == "open"
        assert await waiting == ({ref}, set())

    run(main())


@pytest.mark.parametrize("return_exceptions", [False, True])
def test_a_cancelled_gather_ends_with_the_slowest_of_its_tasks(run: Run, return_exceptions: bool) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def slow_to_end() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await release.wait()

        gate = Gate.remote()
        ref = gate.wait.remote()
        outer = asyncio.gather(ref, slow_to_end(), return_exceptions=return_exceptions)
        await asyncio.sleep(0)
        outer.cancel("all of it")
        await asyncio.sleep(0)
        # Meanwhile others wait for the same reference, for whom nothing is cancelled.
        waiting = asyncio.ensure_future(asyncio.wait([ref]))  # type: ignore[type-var]
        other = asyncio.gather(ref)
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert not waiting.done()
        await gate.open.remote()
        assert list(await other) == ["open"]
        assert await waiting == ({ref}, set())

    run(main())


def test_timeouts_around_a_gather(run: Run) -> None:
    async def main() -> None:
        gate = Gate.remote()
        refs = [gate.wait.remote() for _ in range(20)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await asyncio.gather(*refs, double.remote(1), return_exceptions=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(refs[0], 0.02)
        done, pending = await asyncio.wait(refs, timeout=0.02)  # type: ignore[type-var]
        assert not done
        assert pending == set(refs)
        with pytest.raises(TimeoutError):
            for each in asyncio.as_completed(refs, timeout=0.02):
                await each
        await gate.open.remote()
        assert await asyncio.gather(*refs) == ["open"] * 20

    run(main())


def test_cancel_withdraws_who_waits_by_callbacks(run: Run) -> None:
    async def main() -> None:
        gate = Gate.remote()
        ref = gate.wait.remote()
        waiting = asyncio.ensure_future(asyncio.wait([ref]))  # type: ignore[type-var]
        await asyncio.sleep(0)
        assert ref.cancel("enough")
        assert ref.cancelled()
        done, pending = await waiting
        assert done == {ref}
        assert not pending
        assert ref.cancelled()
        assert ref._state == "CANCELLED"
        for question in (ref.result, ref.exception):
            with pytest.raises(asyncio.CancelledError):
                question()
        assert await gate.open.remote() == 0
        assert await ref == "open"
        assert list(await asyncio.gather(ref)) == ["open"]

    run(main())


def test_callbacks(run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def main() -> None:
        gate = Gate.remote()
        ref = gate.wait.remote()
        seen: list[Any] = []
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, problem: problems.append(problem))

        def note(told: Any) -> None:
            assert told is ref
            seen.append(variable.get())
            variable.set("changed")

        def refuse(told: Any) -> None:
            raise ValueError("refused")

        variable.set("of the adder")
        ref.add_done_callback(note)
        ref.add_done_callback(refuse)
        given = contextvars.copy_context()
        given.run(variable.set, "given")
        ref.add_done_callback(note, context=given)
        removed = seen.append
        ref.add_done_callback(removed)
        ref.add_done_callback(removed)
        assert ref.remove_done_callback(removed) == 2
        assert ref.remove_done_callback(removed) == 0
        variable.set("later")
        await gate.open.remote()
        await ref
        late = asyncio.Event()
        ref.add_done_callback(lambda _: late.set())
        assert not late.is_set()
        await late.wait()
        assert seen == ["of the adder", "given"]
        assert given[variable] == "changed"
        assert variable.get() == "later"
        assert [str(problem["exception"]) for problem in problems] == ["refused"]

    run(main())


def test_what_ends_the_loop_leaves_the_others_their_turn() -> None:
    loop = asyncio.new_event_loop()
    refs = [ray.put(1) for _ in range(3)]
    seen: list[Any] = []

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        refs[0].add_done_callback(seen.append)
        refs[1].add_done_callback(interrupt)
        refs[2].add_done_callback(seen.append)
        await asyncio.Event().wait()

    async def last() -> None:
        await asyncio.sleep(0)

    task = loop.create_task(main())
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        loop.run_until_complete(last())
        assert seen == [refs[0], refs[2]]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    finally:
        loop.close()


@pytest.mark.parametrize("make", LOOPS)
def test_two_loops_take_a_reference_at_once(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    gate = Gate.remote()
    ref = gate.wait.remote()
    told: list[tuple[str, bool]] = []

    async def take() -> None:
        taken: Any = asyncio.ensure_future(ref)
        assert taken is ref

    async def put_callback(name: str) -> None:
        ref.add_done_callback(lambda ref: told.append((name, ref.cancelled())))

    async def cancel() -> None:
        assert ref.cancel()
        assert not ref.cancel()
        await asyncio.sleep(0)

    async def wait() -> None:
        assert await ref == "open"

    with asyncio.Runner(loop_factory=make) as first, asyncio.Runner(loop_factory=make) as second:
        first.run(take())
        second.run(take())
        first.run(put_callback("first"))
        second.run(put_callback("second"))
        second.run(cancel())
        assert told == [("second", True)]
        assert ray.get(gate.open.remote(), timeout=TIMEOUT_S) == 0
        first.run(wait())
    assert told == [("second", True), ("first", False)]


def test_several_loops_over_the_same_references() -> None:
    gate = Gate.remote()
    pending = gate.wait.remote()
    refs = [double.remote(i) for i in range(100)]
    ready = threading.Barrier(5)
    results: dict[int, Any] = {}

    async def main(i: int) -> None:
        gave_up = asyncio.gather(pending)
        await asyncio.sleep(0)
        gave_up.cancel()
        ready.wait(TIMEOUT_S)  # the reference is pending up to here
        with pytest.raises(asyncio.CancelledError):
            await gave_up
        results[i] = await asyncio.gather(*refs, pending, *refs)

    def thread(i: int) -> None:
        with asyncio.Runner(loop_factory=LOOPS[i % 2]) as runner:
            runner.run(main(i))

    threads = [threading.Thread(target=thread, args=(i,)) for i in range(4)]
    for each in threads:
        each.start()
    ready.wait(TIMEOUT_S)
    ray.get(gate.open.remote())
    for each in threads:
        each.join(TIMEOUT_S)
    numbers = [2 * i for i in range(100)]
    assert results == {i: [*numbers, "open", *numbers] for i in range(4)}


@pytest.mark.parametrize("make", LOOPS)
def test_a_loop_is_closed_while_others_gather(make: Loop) -> None:
    gate = Gate.remote()
    ref = gate.wait.remote()
    loop = make()

    async def start() -> Any:
        return asyncio.gather(ref, gate.wait.remote())

    outer = loop.run_until_complete(start_in(start))
    assert not outer[0].done()
    loop.close()
    del outer
    gc.collect()

    async def main() -> Any:
        await gate.open.remote()
        return await asyncio.gather(ref)

    with asyncio.Runner(loop_factory=make) as runner:
        assert runner.run(main()) == ["open"]


async def start_in(start: Callable[[], Awaitable[Any]]) -> list[Any]:
    """In a list, since a future that a task returns would be awaited by some."""
    return [await start()]


def test_copies_are_references_of_their_own(run: Run) -> None:
    async def main() -> None:
        gate = Gate.remote()
        ref = gate.wait.remote()
        outer = asyncio.gather(ref)
        others: list[Any] = [copy.copy(ref), pickle.loads(pickle.dumps(ref))]
        await asyncio.sleep(0)
        assert all(map(asyncio.isfuture, others)) and others == [ref, ref] and {*others} == {ref}
        assert ray.ObjectRef(ref.binary()) in {ref}
        assert ref in {ray.ObjectRef(ref.binary())}
        assert not asyncio.isfuture(ref)  # it has one who waits; the next ones get tasks
        inner = asyncio.gather(*others)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        await gate.open.remote()
        assert await inner == ["open", "open"]

    run(main())


def test_many_who_wait_for_one_reference_and_give_up(run: Run) -> None:
    async def main() -> None:
        gate = Gate.remote()
        ref = gate.wait.remote()
        tasks = [asyncio.ensure_future(timed(ref)) for _ in range(1000)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks[1:], return_exceptions=True)
        assert not tasks[0].done()
        await gate.open.remote()
        assert await tasks[0] == "open"

    run(main())


def test_wait_in_a_loop(run: Run) -> None:
    async def main() -> None:
        pending = {double.remote(i) for i in range(500)}
        seen: list[int] = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
            assert done
            seen += [ref.result() for ref in done]
        assert sorted(seen) == [2 * i for i in range(500)]
        done, pending = await asyncio.wait(  # type: ignore[assignment, type-var]
            [fail.remote(KeyError), Gate.remote().wait.remote()], return_when=asyncio.FIRST_EXCEPTION
        )
        assert [type(ref.exception()) for ref in done] == [type(fail_error())]
        assert len(pending) == 1

    run(main())


def fail_error() -> BaseException:
    try:
        ray.get(fail.remote(KeyError))
    except KeyError as error:
        return error
    raise AssertionError("it did not fail")
