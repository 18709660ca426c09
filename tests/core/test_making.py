"""A process that is killed inside a put, a call or its completion: whatever the instruction, nothing stays behind.

One count may: an object's count and the note of it are two words, and a kill can come between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.cancellation import cancel
from ray_async._core.object_ref import ObjectRef
from tests.core.session import Bench
from tests.core.stepping import Stepper


def check(
    small_arena: Arena,
    tmp_path: Path,
    make: Callable[[Bench, list[Any]], Callable[[], object]],
    pins: int,
    held: Sequence[ObjectRef] = (),
    blocks: int = 0,
) -> None:
    """Step through what ``make`` gives, and look at every state.

    Args:
        pins: how many counts the call adds to the objects; between a count and its note there are two steps.
        held: references that ``make`` has put there, to be given back at the end.
        blocks: how many moments may leave a count on what the call itself has made, which then stays.
    """
    bench = Bench(small_arena)
    objects = [store.put(small_arena, i) for i in range(2)]
    function = bench.template(str).fn
    watched = [*objects, function]
    entries = [store.describe(small_arena, ref)["offset"] for ref in watched]
    call = make(bench, objects)

    def prepare() -> Callable[[], object]:
        kept.append(call())  # so that blocks, hold pages and picklers are there
        return call

    kept: list[object] = []
    results = [ref.__reduce__()[1] for ref in held]
    outcomes = Stepper(small_arena, tmp_path, bench.queue, entries, results).outcomes(prepare)
    used, counts = outcomes[0]
    leaked = [sum(now) - sum(counts) for _, now in outcomes]
    assert len(outcomes) > 10
    assert sum(now != used for now, _ in outcomes) <= blocks, "blocks that nobody gives back"
    assert set(leaked) <= {0, 1}, "counts that nobody gives back, or that were given back twice"
    assert sum(leaked) <= 2 * pins, f"{sum(leaked)} of {len(outcomes)} moments leave a count behind"


def test_put(small_arena: Arena, tmp_path: Path) -> None:
    def make(bench: Bench, objects: list[Any]) -> Callable[[], object]:
        return lambda: store.put(small_arena, objects)

    check(small_arena, tmp_path, make, pins=2)


def test_put_into_a_chunk_that_was_never_used(small_arena: Arena, tmp_path: Path) -> None:
    sizes = iter([100, 2_100])  # the second one is the first of its size

    def make(bench: Bench, objects: list[Any]) -> Callable[[], object]:
        return lambda: store.put(small_arena, bytes(next(sizes)))

    check(small_arena, tmp_path, make, pins=1)


@pytest.mark.parametrize(("size", "returns"), [(0, -1), (0, 0), (0, 1), (0, 3), (2_100, 1)])
def test_call(small_arena: Arena, tmp_path: Path, size: int, returns: int) -> None:
    def make(bench: Bench, objects: list[Any]) -> Callable[[], object]:
        template = bench.template(repr, n_returns=returns, make_generator=lambda cursor: cursor)
        arguments = (objects[0], [objects[1]], bytes(size))
        return lambda: template(arguments)

    check(small_arena, tmp_path, make, pins=3)  # the function, too


def test_call_that_waits_for_an_argument(small_arena: Arena, tmp_path: Path) -> None:
    def make(bench: Bench, objects: list[Any]) -> Callable[[], object]:
        template, promise = bench.template(repr), store.new_promise(small_arena)
        return lambda: template((objects[0], promise))

    check(small_arena, tmp_path, make, pins=2)


def test_completion(small_arena: Arena, tmp_path: Path) -> None:
    held: list[Any] = []

    def make(bench: Bench, objects: list[Any]) -> Callable[[], object]:
        template = bench.template(repr)
        held.extend([template((1,)), template((2,))])
        return lambda: bench.executor.succeed(bench.executor.pop(bench.queue), [*objects, "result"])

    check(small_arena, tmp_path, make, 2, held)


@pytest.mark.parametrize("error", [None, b"over"])
def test_items_of_a_stream_and_its_end(small_arena: Arena, tmp_path: Path, error: bytes | None) -> None:
    held: list[Any] = []

    def make(bench: Bench, objects: list[Any]) -> Callable[[], object]:
        template = bench.template(repr, n_returns=-1, make_generator=lambda cursor: cursor)
        for _ in range(2):
            cursor = template((1,))
            held.extend([cursor.current, cursor.done])

        def produce() -> None:
            record = bench.executor.pop(bench.queue)
            bench.executor.stream(record).add([*objects, "item"])
            if error is None:
                bench.executor.end_stream(record)
            else:
                bench.executor.fail(record, error)

        return produce

    check(small_arena, tmp_path, make, 2, held, blocks=1)  # the producer's on the last item


@pytest.mark.parametrize("items", [0, 1])
def test_cancelling_a_stream_that_waits_to_run_again(small_arena: Arena, tmp_path: Path, items: int) -> None:
    held: list[Any] = []

    def make(bench: Bench, objects: list[Any]) -> Callable[[], object]:
        template = bench.template(repr, n_returns=-1, make_generator=lambda cursor: cursor)
        for cursor in [template((1,)), template((2,))]:
            held.extend([cursor.current, cursor.done])
        records = [bench.executor.pop(bench.queue) for _ in range(2)]
        for record in records:
            for _ in range(items):
                bench.executor.stream(record).add(objects)
            bench.executor.requeue(record, 1)
        return lambda: cancel(small_arena, records.pop(), False, lambda record: b"cancelled")

    check(small_arena, tmp_path, make, 2, held, blocks=1)  # the producer's on the last item
