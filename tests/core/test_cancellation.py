"""Cancels in shared memory: what they flag before they return, and what flags itself later."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_async._core import store
from ray_async._core.arena import Arena, ArenaFullError
from ray_async._core.cancellation import ASKED, DROPPED, OVER, cancel, cancel_scopes, carry_on
from ray_async._core.submission import (
    Template,
    current_parent,
    enter_scope,
    leave_scope,
    record_of,
    record_seq,
    set_parent,
)
from tests.core.conftest import joined
from tests.core.session import Bench
from tests.core.test_references import settle


@pytest.fixture
def bench(arena: Arena) -> Iterator[Bench]:
    yield Bench(arena)
    set_parent(0)


class CancelledError(Exception):
    """What the references of a dropped call hold."""


def make_error(record: int) -> bytes:
    return pickle.dumps(CancelledError())


def is_cancelled(bench: Bench, ref: Any) -> bool:
    return bool(bench.executor.facts(record_of(ref))["cancelled"])


def submit_running(bench: Bench, template: Template, parent: int = 0) -> tuple[Any, int]:
    """A call that was claimed and runs, as a child of another: its reference and its record."""
    set_parent(parent)
    ref = template(())
    set_parent(0)
    record = bench.executor.pop(bench.queue)
    assert record == record_of(ref)
    return ref, record


def test_a_cancel_flags_what_runs_and_drops_what_does_not_before_it_returns(bench: Bench, arena: Arena) -> None:
    template = bench.template(lambda: 1)
    base = settle(arena)
    top, parent = submit_running(bench, template)
    middle, child = submit_running(bench, template, parent)
    bystander, _ = submit_running(bench, template)
    set_parent(child)
    queued, other = template(()), template(())
    set_parent(0)
    assert cancel(arena, parent, False, make_error, True) == ASKED
    assert is_cancelled(bench, top) and is_cancelled(bench, middle)
    for ref in (queued, other):
        with pytest.raises(CancelledError):
            store.get_one(arena, ref)
    assert not is_cancelled(bench, bystander)
    for record in (parent, child):
        with pytest.raises(KeyboardInterrupt):
            bench.executor.succeed(record, 1)
        bench.executor.fail(record, make_error(record))
    bench.executor.succeed(record_of(bystander), 1)
    del top, middle, queued, other, bystander, ref
    assert settle(arena) == base


def test_a_cancel_that_is_not_recursive_leaves_children(bench: Bench, arena: Arena) -> None:
    template = bench.template(lambda: 1)
    _top, parent = submit_running(bench, template)
    middle, child = submit_running(bench, template, parent)
    assert cancel(arena, parent, False, make_error) == ASKED
    assert not is_cancelled(bench, middle)
    bench.executor.succeed(child, 5)
    assert store.get_one(arena, middle) == 5


def test_what_a_cancelled_task_submits_is_cancelled_until_it_is_told(bench: Bench, arena: Arena) -> None:
    template = bench.template(lambda: 1)
    silent = bench.template(lambda: 1, n_returns=0)
    _top, parent = submit_running(bench, template)
    set_parent(parent)
    assert cancel(arena, parent, True, make_error, True) == ASKED
    late = template(())
    silent(())
    assert is_cancelled(bench, late)
    assert bench.executor.facts(record_of(late))["forced"]
    assert bench.run_all() == 2
    assert [type(error) for error in bench.failures] == [KeyboardInterrupt] * 2
    bench.executor.cancel_delivered(parent)
    cleaning_up = template(())
    assert not is_cancelled(bench, cleaning_up)
    bench.run_all()
    assert store.get_one(arena, cleaning_up) == 1
    bench.executor.succeed(parent, 7)  # it was told, and got over it
    assert store.get_one(arena, _top) == 7


def test_children_of_a_parent_that_has_ended_meanwhile_are_found(bench: Bench, arena: Arena) -> None:
    template = bench.template(lambda: 1)
    _top, parent = submit_running(bench, template)
    middle, child = submit_running(bench, template, parent)
    leaf, _ = submit_running(bench, template, child)
    seq = record_seq(arena, child)
    bench.executor.succeed(child, 1)
    carry_on(arena, child, seq, False, make_error)
    assert is_cancelled(bench, leaf)
    assert store.get_one(arena, middle) == 1


def test_what_has_its_results_is_not_cancelled(bench: Bench, arena: Arena) -> None:
    template = bench.template(lambda: 1)
    ref, parent = submit_running(bench, template)
    child, _ = submit_running(bench, template, parent)
    bench.executor.complete(parent, "all")
    assert cancel(arena, parent, False, make_error, True) == OVER
    assert not is_cancelled(bench, ref) and not is_cancelled(bench, child)


def test_scopes(bench: Bench, arena: Arena) -> None:
    template = bench.template(lambda: 1)
    scope, token = enter_scope(arena)
    ref, record = submit_running(bench, template)
    child, _ = submit_running(bench, template, record)
    queued = template(())
    leave_scope(token)
    outside = template(())
    assert cancel_scopes(arena, {scope}, make_error) == {scope}
    assert is_cancelled(bench, ref) and is_cancelled(bench, child)
    with pytest.raises(CancelledError):
        store.get_one(arena, queued)
    assert not is_cancelled(bench, outside)
    for running in (ref, child):
        bench.executor.fail(record_of(running), make_error(0))
    assert cancel_scopes(arena, {scope}, make_error) == set()


# ---- streams that nobody reads any more ----


def stream_template(bench: Bench, **options: Any) -> Template:
    return bench.template(lambda: None, n_returns=-1, make_generator=lambda cursor: cursor, **options)


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("read", [0, 1, 3])
@pytest.mark.parametrize("written", [0, 1, 4])
def test_a_stream_without_readers_is_cancelled(
    bench: Bench, arena: Arena, written: int, read: int, keep: bool, detached: bool
) -> None:
    template = stream_template(bench, detached=detached)
    base = settle(arena)
    cursor = template(())
    record = bench.executor.pop(bench.queue)
    stream = bench.executor.stream(record)
    kept = []
    for number in range(written):
        stream.add([number])
        if number < read:
            kept.append(cursor.advance())
    if not keep:
        kept.clear()
    end = cursor.done
    assert not bench.executor.is_cancelled(record)
    del cursor
    assert not bench.executor.is_cancelled(record)  # someone may still wait for the call
    del end
    assert bench.executor.is_cancelled(record) is not detached
    if detached:
        stream.add(0)
        bench.executor.end_stream(record)
    else:
        assert bench.executor.facts(record)["left"]
        with pytest.raises(KeyboardInterrupt):
            stream.add(0)
        with pytest.raises(KeyboardInterrupt):
            bench.executor.end_stream(record)
        bench.executor.fail(record, make_error(record))
    assert [value for (value,) in store.get(arena, kept)] == list(range(len(kept)))
    kept.clear()
    del stream
    assert settle(arena) == base


def test_a_stream_whose_next_item_is_held_is_not_left(bench: Bench, arena: Arena) -> None:
    cursor = stream_template(bench)(())
    record = bench.executor.pop(bench.queue)
    bench.executor.stream(record).add(1)
    cursor.advance()
    coming = cursor.current
    del cursor
    assert not bench.executor.is_cancelled(record)
    bench.executor.stream(record).add(2)
    assert store.get_one(arena, coming) == 2
    del coming
    assert bench.executor.is_cancelled(record)
    bench.executor.fail(record, make_error(record))


def test_a_stream_that_is_dropped_before_it_begins_is_flagged(bench: Bench, arena: Arena) -> None:
    template = stream_template(bench)
    base = settle(arena)
    template(())
    record = bench.executor.pop(bench.queue)
    assert bench.executor.facts(record)["cancelled"]
    bench.executor.fail(record, make_error(record))
    assert settle(arena) == base


def test_detached_streams_outlive_cancels_of_what_has_started_them(bench: Bench, arena: Arena) -> None:
    _top, parent = submit_running(bench, bench.template(lambda: 1))
    scope, token = enter_scope(arena)
    set_parent(parent)
    cursor = stream_template(bench, detached=True)(())
    leave_scope(token)
    assert cancel(arena, parent, False, make_error, True) == ASKED
    assert cancel_scopes(arena, {scope}, make_error) == set()
    assert not is_cancelled(bench, cursor.done)
    assert cancel(arena, record_of(cursor.done), False, make_error) == DROPPED


def test_what_a_call_has_left_behind_is_no_child_of_the_next_call_in_its_place(bench: Bench, arena: Arena) -> None:
    template = bench.template(lambda: 1)
    ref, record = submit_running(bench, template)
    set_parent(record)  # an asyncio task that outlives the call has this for ever
    bench.executor.succeed(record, 1)
    del ref
    ref = template(())
    again = bench.executor.pop(bench.queue)
    while again != record:
        bench.executor.succeed(again, 1)
        del ref
        ref = template(())
        again = bench.executor.pop(bench.queue)
    assert current_parent() == 0
    late = template(())
    assert bench.executor.facts(record_of(late))["parent_seq"] == 0
    assert cancel(arena, record, False, make_error, True) == ASKED
    assert is_cancelled(bench, ref) and not is_cancelled(bench, late)


def test_a_task_of_a_worker_that_has_run_coroutines_before_is_a_parent(bench: Bench, arena: Arena) -> None:
    set_parent(0, True)  # a worker whose last lease was for coroutines
    children: list[Any] = []
    ref = bench.template(lambda: children.append(bench.template(lambda: 1)(())))(())
    record = bench.executor.pop(bench.queue)
    number = record_seq(arena, record)
    bench.executor.run_record(record)
    assert bench.executor.facts(record_of(children[0]))["parent_seq"] == number
    del ref


def test_a_cancel_of_a_record_by_its_number_spares_the_next_one_in_its_place(bench: Bench, arena: Arena) -> None:
    ref, record = submit_running(bench, bench.template(lambda: 1))
    seq = record_seq(arena, record)
    assert cancel(arena, record, False, make_error, False, seq - 1) == OVER
    assert not is_cancelled(bench, ref)
    assert cancel(arena, record, False, make_error, False, seq) == ASKED
    assert is_cancelled(bench, ref)


def fill_up(arena: Arena) -> list[Any]:
    """Objects that leave no room for a payload."""
    kept: list[Any] = []
    for size in (60_000, 20_000, 5_000, 1_000, 100):
        with pytest.raises(ArenaFullError):
            while True:
                kept.append(store.put(arena, bytes(size)))
    return kept


@pytest.fixture(params=[1, 2])
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Arena, int]]:
    """An arena of 4 MiB, and for how many times that it has places."""
    for arena in joined(0, tmp_path, places=request.param):
        yield arena, request.param


@pytest.mark.parametrize("n_returns", [1, 3, -1])
@pytest.mark.parametrize("by_worker", [False, True])
def test_a_full_store_keeps_nobody_from_ending(tiny: tuple[Arena, int], n_returns: int, by_worker: bool) -> None:
    """Some room beyond the limit is kept for errors. One that finds none leaves its mark, which lies in the entry."""
    small_arena, places = tiny
    bench, errors = Bench(small_arena), []
    template = bench.template(lambda: 1, n_returns=n_returns, make_generator=lambda cursor: cursor)
    made = template(())
    refs = {1: lambda: [made], 3: lambda: list(made), -1: lambda: [made.current, made.done]}[n_returns]()
    kept = fill_up(small_arena)
    if by_worker:
        record = bench.executor.pop(bench.queue)
        bench.executor.fail(record, bytes(5_000))
    else:
        assert cancel(small_arena, record_of(refs[0]), False, lambda record: bytes(5_000)) == DROPPED

    def raise_error(error: Any) -> None:
        errors.append(error)
        raise CancelledError

    store.set_hooks(raise_error=raise_error)
    for ref in refs:
        assert store.is_ready(small_arena, ref)
        with pytest.raises(CancelledError):
            store.get_one(small_arena, ref)
    mark = store.FAILED if by_worker else store.CANCELLED
    assert errors == [mark if places == 1 else bytes(5_000)] * len(refs)
    del kept
