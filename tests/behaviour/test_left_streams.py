"""Streams that their reader leaves: the producer is told, its generator ends, and its CPU is free."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from tests.resources import wait_until

TIMEOUT_S = 60
Cancelled = ray.exceptions.TaskCancelledError


@pytest.fixture(scope="module", autouse=True)
def one_cpu() -> Iterator[None]:
    """One session for the file, in which a producer that runs on would hold up everything else."""
    with ray.init(num_cpus=1):
        yield


@ray.remote
def endless(path: str, pause_s: float, began: str = "") -> Iterator[int]:
    if began:
        Path(began).touch()
    yield from numbers(path, pause_s)


@ray.remote
async def async_endless(path: str, pause_s: float) -> AsyncIterator[int]:
    async with contextlib.aclosing(async_numbers(path, pause_s)) as found:
        async for number in found:
            yield number


def numbers(path: str, pause_s: float) -> Iterator[int]:
    """Numbers without end; blocks for ever after the first one when ``pause_s`` is negative."""
    number = 0
    try:
        while True:
            yield number
            number += 1
            if pause_s:
                time.sleep(pause_s if pause_s > 0 else 1000)
    finally:
        Path(path).touch()


async def async_numbers(path: str, pause_s: float) -> AsyncGenerator[int, None]:
    """The same on an event loop."""
    number = 0
    try:
        while True:
            yield number
            number += 1
            if pause_s:
                await asyncio.sleep(pause_s if pause_s > 0 else 1000)
    finally:
        await asyncio.sleep(0)
        Path(path).touch()


@ray.remote(num_cpus=0)
class Source:
    def endless(self, path: str, pause_s: float) -> Iterator[int]:
        yield from numbers(path, pause_s)

    def ping(self) -> str:
        return "pong"


@ray.remote(num_cpus=0)
class AsyncSource:
    async def endless(self, path: str, pause_s: float) -> AsyncIterator[int]:
        async with contextlib.aclosing(async_numbers(path, pause_s)) as found:
            async for number in found:
                yield number

    def sync_endless(self, path: str, pause_s: float) -> Iterator[int]:
        yield from numbers(path, pause_s)

    async def ping(self) -> str:
        return "pong"


@ray.remote
def one() -> int:
    return 1


def actor_source(cls: Any, name: str, **options: Any) -> Callable[[], tuple[Any, Callable[[], Any]]]:
    def make() -> tuple[Any, Callable[[], Any]]:
        actor = cls.options(**options).remote()
        return getattr(actor, name), actor.ping.remote

    return make


#: For each kind of producer: the remote generator, and what runs only once the producer is gone.
PRODUCERS: dict[str, Callable[[], tuple[Any, Callable[[], Any]]]] = {
    "task": lambda: (endless, one.remote),
    "async task": lambda: (async_endless, one.remote),
    "actor": actor_source(Source, "endless"),
    "threads": actor_source(Source, "endless", max_concurrency=2),
    "async actor": actor_source(AsyncSource, "endless"),
    "async actor, sync method": actor_source(AsyncSource, "sync_endless"),
    "async actor, sync method in a thread": actor_source(AsyncSource, "sync_endless", run_in_thread=True),
}


def leave_by_break(stream: Any) -> None:
    for ref in stream:
        assert ray.get(ref, timeout=TIMEOUT_S) == 0
        break


def leave_by_close(stream: Any) -> None:
    with contextlib.closing(stream):
        assert ray.get(next(stream), timeout=TIMEOUT_S) == 0


def leave_values(stream: Any) -> None:
    for value in stream.values():
        assert value == 0
        break


def leave_by_error(stream: Any) -> None:
    next(stream)
    with pytest.raises(KeyError, match="mine"):
        stream.throw(KeyError("mine"))


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_close, leave_values, leave_by_error])
@pytest.mark.parametrize("backpressure", [-1, 2])
@pytest.mark.parametrize("kind", PRODUCERS)
def test_a_producer_whose_reader_has_left_ends(
    kind: str, backpressure: int, leave: Callable[[Any], None], tmp_path: Path
) -> None:
    source, after = PRODUCERS[kind]()
    closed = tmp_path / "closed"
    leave(source.options(_generator_backpressure_num_objects=backpressure).remote(str(closed), 0.001))
    wait_until(closed.exists)
    assert ray.get(after(), timeout=TIMEOUT_S) in (1, "pong")


@pytest.mark.parametrize("kind", ["task", "async task", "async actor"])
def test_a_producer_in_the_midst_of_a_step_is_interrupted(kind: str, tmp_path: Path) -> None:
    source, after = PRODUCERS[kind]()
    closed = tmp_path / "closed"
    leave_by_break(source.remote(str(closed), -1.0))
    wait_until(closed.exists)
    assert ray.get(after(), timeout=TIMEOUT_S) in (1, "pong")


@pytest.mark.parametrize("kind", PRODUCERS)
async def test_aclosing(kind: str, tmp_path: Path) -> None:
    source, after = PRODUCERS[kind]()
    closed = tmp_path / "closed"
    async with asyncio.timeout(TIMEOUT_S):
        async with contextlib.aclosing(source.remote(str(closed), 0.001)) as stream:
            async for ref in stream:
                assert await ref == 0
                break
        assert closed.exists()  # the producer has ended when the block is left
        await stream.aclose()
        assert [ref async for ref in stream] == []
        assert stream.is_finished()
        with pytest.raises(Cancelled):
            await stream.completed()
        assert await after() in (1, "pong")


async def read_references(path: str, at_first: Callable[[], None]) -> None:
    async for ref in endless.remote(path, -1.0):
        await ref
        at_first()


async def read_values(path: str, at_first: Callable[[], None]) -> None:
    async for _ in endless.remote(path, -1.0).values():
        at_first()


@pytest.mark.parametrize("read", [read_references, read_values])
async def test_a_cancelled_reader_whose_exception_is_kept(read: Any, tmp_path: Path) -> None:
    """Loggers, frameworks and cycles keep exceptions, and with them the frames that have waited."""
    closed, began = tmp_path / "closed", asyncio.Event()
    kept: list[BaseException] = []

    async def reader() -> None:
        try:
            await read(str(closed), began.set)
        except asyncio.CancelledError as error:
            kept.append(error)
            raise

    task = asyncio.create_task(reader())
    async with asyncio.timeout(TIMEOUT_S):
        await began.wait()
        await asyncio.sleep(0.05)  # the second item never comes: wherever the reader is, it waits for that in the end
        task.cancel()
        await asyncio.wait([task])
        assert len(kept) == 1
        assert await one.remote() == 1
    assert closed.exists()


def next_reference(*arguments: Any) -> None:
    for ref in endless.remote(*arguments):
        ray.get(ref, timeout=TIMEOUT_S)


def next_value(*arguments: Any) -> None:
    for _ in endless.remote(*arguments).values():
        pass


@pytest.mark.parametrize("read", [next_reference, next_value])
def test_an_interrupted_reader_whose_exception_is_kept(read: Any, tmp_path: Path) -> None:
    """As interactive shells keep the last one."""
    closed, handled = tmp_path / "closed", signal.getsignal(signal.SIGUSR1)
    kept: list[BaseException] = []

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    def send() -> None:
        wait_until(began.exists)
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    began = tmp_path / "began"
    signal.signal(signal.SIGUSR1, interrupt)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        read(str(closed), -1.0, str(began))
    except KeyboardInterrupt as error:
        kept.append(error)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, handled)
    assert len(kept) == 1
    assert ray.get(one.remote(), timeout=TIMEOUT_S) == 1
    assert closed.exists()


async def test_leaving_a_loop_over_values(tmp_path: Path) -> None:
    for turn in range(3):
        closed = tmp_path / str(turn)
        async with (
            asyncio.timeout(TIMEOUT_S),
            contextlib.aclosing(async_endless.remote(str(closed), 0.0).values()) as values,
        ):
            async for value in values:
                if value == 500:
                    break
        assert closed.exists()


async def test_athrow_and_asend(tmp_path: Path) -> None:
    stream = endless.remote(str(tmp_path / "closed"), 0.001)
    async with asyncio.timeout(TIMEOUT_S):
        assert await (await stream.asend(None)) == 0
        with pytest.raises(NotImplementedError):
            await stream.asend(1)
        with pytest.raises(LookupError, match="mine"):
            await stream.athrow(LookupError, "mine")
    assert (tmp_path / "closed").exists()
    with pytest.raises(StopIteration):
        stream.send(None)


async def test_a_scope_that_is_left_ends_its_streams(tmp_path: Path) -> None:
    closed = [tmp_path / name for name in ("a", "b")]
    actor = AsyncSource.remote()
    async with asyncio.timeout(TIMEOUT_S):
        with pytest.raises(ZeroDivisionError):
            async with ray.cancel_scope():
                streams = [endless.remote(str(closed[0]), 0.001), actor.endless.remote(str(closed[1]), 0.001)]
                for stream in streams:
                    await anext(stream)
                raise ZeroDivisionError
        for stream in streams:
            with pytest.raises(Cancelled):
                await stream.completed()
        assert all(path.exists() for path in closed)
        assert await one.remote() == 1


def test_a_stream_that_is_dropped_before_it_begins_never_runs(tmp_path: Path) -> None:
    release = tmp_path / "release"

    @ray.remote
    def hold(path: str) -> None:
        while not Path(path).exists():
            time.sleep(0.001)

    held = hold.remote(str(release))
    endless.remote(str(tmp_path / "closed"), 0.001)
    release.touch()
    ray.get(held, timeout=TIMEOUT_S)
    assert ray.get(one.remote(), timeout=TIMEOUT_S) == 1
    assert not (tmp_path / "closed").exists()


def test_what_a_left_producer_has_started_ends_too(tmp_path: Path) -> None:
    @ray.remote(num_cpus=0)
    def sleep(path: str) -> None:
        Path(path, "started").touch()
        time.sleep(1000)

    @ray.remote(num_cpus=0)
    def starts_another(path: str) -> Iterator[Any]:
        yield [sleep.remote(path)]
        time.sleep(1000)

    stream = starts_another.remote(str(tmp_path))
    (child,) = ray.get(next(stream), timeout=TIMEOUT_S)
    wait_until((tmp_path / "started").exists)
    del stream
    with pytest.raises(Cancelled):
        ray.get(child, timeout=TIMEOUT_S)


def test_who_waits_for_the_end_keeps_the_producer(tmp_path: Path) -> None:
    @ray.remote
    def ten(path: str) -> Iterator[int]:
        yield from range(10)
        Path(path).touch()

    end = ten.remote(str(tmp_path / "all")).completed()
    assert ray.get(end, timeout=TIMEOUT_S) is None
    assert (tmp_path / "all").exists()
    stream = endless.remote(str(tmp_path / "closed"), 0.001)
    end = stream.completed()
    stream.close()  # on purpose: ends it all the same
    with pytest.raises(Cancelled):
        ray.get(end, timeout=TIMEOUT_S)


@pytest.mark.parametrize("how", ["drop", "close", "scope"])
def test_detached_producers_run_on(how: str, tmp_path: Path) -> None:
    @ray.remote(_generator_detached=True)
    def ten(path: str) -> Iterator[int]:
        yield from range(10)
        Path(path).touch()

    with contextlib.suppress(ZeroDivisionError), ray.cancel_scope():
        stream = ten.remote(str(tmp_path / "all"))
        next(stream)
        if how == "scope":
            raise ZeroDivisionError
        if how == "close":
            stream.close()
    del stream
    wait_until((tmp_path / "all").exists)


def test_a_detached_producer_can_be_cancelled(tmp_path: Path) -> None:
    stream = endless.options(_generator_detached=True).remote(str(tmp_path / "closed"), 0.001)
    next(stream)
    ray.cancel(stream)
    with pytest.raises(Cancelled):
        ray.get(stream.completed(), timeout=TIMEOUT_S)
    assert (tmp_path / "closed").exists()


def test_methods_and_actors_with_limited_calls(tmp_path: Path) -> None:
    @ray.remote(num_cpus=0, max_pending_calls=1)
    class Limited:
        @ray.method(_generator_detached=True)
        def ten(self, path: str) -> Iterator[int]:
            yield from range(10)
            Path(path).touch()

        def endless(self, path: str) -> Iterator[int]:
            yield from numbers(path, 0.001)

    actor = Limited.remote()
    actor.ten.remote(str(tmp_path / "all"))
    wait_until((tmp_path / "all").exists)

    def accepts() -> bool:
        try:
            leave_by_break(actor.endless.remote(str(tmp_path / "closed")))
        except ray.exceptions.PendingCallsLimitExceeded:
            return False
        return True

    wait_until(accepts)
    wait_until((tmp_path / "closed").exists)


def test_close_does_not_hold_up_a_loop_and_ends_in_any_thread(tmp_path: Path) -> None:
    async def close_on_a_loop() -> None:
        stream = endless.remote(str(tmp_path / "closed"), 0.001)
        await anext(stream)
        stream.close()

    asyncio.run(close_on_a_loop())
    wait_until((tmp_path / "closed").exists)
    stream = endless.remote(str(tmp_path / "again"), 0.001)
    next(stream)
    thread = threading.Thread(target=stream.close)
    thread.start()
    thread.join(TIMEOUT_S)
    assert (tmp_path / "again").exists()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_generator_that_fails_in_its_cleaning_up(asynchronous: bool, tmp_path: Path) -> None:
    @ray.remote
    def fails() -> Iterator[int]:
        try:
            yield 0
            time.sleep(1000)
        finally:
            raise ValueError("in finally")

    @ray.remote
    async def async_fails() -> AsyncIterator[int]:
        try:
            yield 0
            await asyncio.sleep(1000)
        finally:
            raise ValueError("in finally")

    leave_by_break((async_fails if asynchronous else fails).remote())
    assert ray.get(one.remote(), timeout=TIMEOUT_S) == 1
