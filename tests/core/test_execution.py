"""Calls from submission to result, in one process: the record's life without a scheduler."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest

from ray_async._core import store
from ray_async._core.arena import Arena, ArenaFullError
from ray_async._core.cancellation import ASKED, DROPPED, OVER, cancel
from ray_async._core.constants import EventKind
from ray_async._core.node_view import NodeView
from ray_async._core.object_view import ObjectView
from ray_async._core.own_slot import OwnSlot
from ray_async._core.record_view import RecordView
from ray_async._core.spill_view import SpillView
from ray_async._core.submission import Template, actor_core, new_actor, record_of, submit_actor
from tests.core.session import NODE, Bench, references
from tests.core.test_references import settle


@pytest.fixture
def bench(arena: Arena) -> Bench:
    return Bench(arena)


def test_a_call(bench: Bench, arena: Arena) -> None:
    add = bench.template(lambda a, b=2, *rest, c=0: (a, b, rest, c))
    refs = [add((1,)), add((1, 2, 3)), add((1,), {"c": 4}), add(("x" * 5000,), {"b": [1]}), add((), {"a": 9})]
    assert not store.is_ready(arena, refs[0])
    assert bench.run_all() == 5
    assert store.get(arena, refs) == [
        (1, 2, (), 0),
        (1, 2, (3,), 0),
        (1, 2, (), 4),
        ("x" * 5000, [1], (), 0),
        (9, 2, (), 0),
    ]


def test_references_as_arguments_are_resolved_and_nested_ones_are_not(bench: Bench, arena: Arena) -> None:
    look = bench.template(lambda *args, **kwargs: (args, kwargs))
    ref = store.put(arena, np.arange(3000))
    other = store.put(arena, "other")
    args, kwargs = run(bench, look((ref, [ref], other, 1), {"k": ref, "n": {"deep": other}}))
    assert args[0].sum() == kwargs["k"].sum() == 2999 * 1500
    assert (args[1], args[2], args[3], kwargs["n"]) == ([ref], "other", 1, {"deep": other})
    args, kwargs = run(bench, look((other, other, [other])))
    assert args == ("other", "other", [other])
    del args, kwargs
    assert references(arena, other) == 1


def interrupted(record: int) -> bytes:
    """What the references of a cancelled record hold."""
    return pickle.dumps(InterruptedError())


def run(bench: Bench, ref: Any) -> Any:
    """Run what is queued, and the value of one result."""
    bench.run_all()
    return store.get_one(bench.arena, ref)


def test_numbers_of_returns(bench: Bench, arena: Arena) -> None:
    assert bench.template(lambda: 1, n_returns=0)(()) is None
    refs = bench.template(lambda: (1, 2, 3), n_returns=3)(())
    many = bench.template(lambda: range, n_returns=1500)(())
    wrong = bench.template(lambda: (1, 2), n_returns=3)(())
    single = bench.template(lambda: 5, n_returns=2)(())
    bench.run_all()
    assert store.get(arena, refs) == [1, 2, 3]
    for ref in (*wrong, *single, many[0], many[-1]):
        with pytest.raises((ValueError, TypeError), match="num_returns"):
            store.get_one(arena, ref)
    with pytest.raises(ValueError, match="65535"):
        bench.template(lambda: 1, n_returns=70_000)


def test_errors_arrive(bench: Bench, arena: Arena) -> None:
    def fail(x: int) -> None:
        raise KeyError(x)

    ref = bench.template(fail)((3,))
    bench.run_all()
    with pytest.raises(KeyError, match="3"):
        store.get_one(arena, ref)
    unpicklable = bench.template(lambda: (x for x in ""))(())
    bench.run_all()
    with pytest.raises(TypeError, match="cannot serialize"):
        store.get_one(arena, unpicklable)


def test_retries_by_requeue(bench: Bench, arena: Arena) -> None:
    calls: list[int] = []

    def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise OSError(len(calls))
        return x

    bench.retry = True
    ref = bench.template(flaky, retries=5)((7,))
    record = record_of(ref)
    assert bench.run_all() == 3
    assert store.get_one(arena, ref) == 7
    facts = bench.executor.facts(record)
    assert (facts["attempt"], facts["retries"]) == (2, 3)
    calls.clear()
    exhausted = bench.template(flaky, retries=1)((7,))
    bench.run_all()
    with pytest.raises(OSError, match="2"):
        store.get_one(arena, exhausted)


def test_memory_comes_back_after_calls(bench: Bench, arena: Arena) -> None:
    echo = bench.template(lambda *args: args)
    run(bench, echo((1,)))
    base = settle(arena)
    array = np.arange(100_000)
    for _ in range(20):
        ref = store.put(arena, array)
        results = [echo((ref, [ref])), echo((array,)), echo((b"x" * 50_000, "y"))]
        bench.run_all()
        assert len(store.get(arena, results)[1][0]) == 100_000
        del ref, results
    assert settle(arena) == base


def test_views_of_arguments_outlive_the_task(bench: Bench, arena: Arena) -> None:
    kept: list[Any] = []
    keep = bench.template(kept.append)
    ref = keep((np.arange(5000),))
    bench.run_all()
    del ref
    keep((np.arange(5000) + 1,))  # nobody waits for this one: its only reference goes at once
    bench.run_all()
    keep((np.arange(5000) + 2,))
    bench.template(kept.append, n_returns=0)((np.arange(5000) + 3,))
    bench.run_all()
    filler = [store.put(arena, np.full(5000, -1)) for _ in range(100)]
    echo = bench.template(lambda x: None)
    others = [echo((np.full(5000, -2),)) for _ in range(100)]
    bench.run_all()
    for number, array in enumerate(kept):
        assert array.tolist() == list(range(number, 5000 + number))
    del filler, others, array
    kept.clear()
    settle(arena)


# ---- cancellation ----


def test_cancelling_before_the_start(bench: Bench, arena: Arena) -> None:
    argument = store.put(arena, 1)
    ref = bench.template(lambda x: x)((argument,))
    assert references(arena, argument) == 2
    error = pickle.dumps(InterruptedError("cancelled"))
    assert cancel(arena, record_of(ref), False, lambda record: error) == DROPPED
    assert cancel(arena, record_of(ref), False, lambda record: error) == OVER
    assert bench.run_all() == 0
    with pytest.raises(InterruptedError):
        store.get_one(arena, ref)
    assert references(arena, argument) == 1


def test_cancelling_what_runs_sets_a_flag(bench: Bench, arena: Arena) -> None:
    ref = bench.template(lambda: 1)(())
    record = bench.executor.pop(bench.queue)
    assert record == record_of(ref)
    assert not bench.executor.is_cancelled(record)
    assert cancel(arena, record, True, lambda record: b"") == ASKED
    assert bench.executor.is_cancelled(record)
    assert bench.executor.facts(record)["cancelled"]
    bench.executor.run_record(record)  # by way of Meta.run
    with pytest.raises(KeyboardInterrupt):  # what it gives does not count
        store.get_one(arena, ref)
    assert cancel(arena, record, True, lambda record: b"") == OVER


# ---- copies of removed nodes ----


def test_what_is_in_hands_is_lost_with_the_hands(bench: Bench, arena: Arena) -> None:
    """A result whose record has not ended, and a value with a view, are found when they are looked for again."""
    spill = SpillView(arena)
    result = bench.template(lambda: None)(())
    record = bench.executor.pop(bench.queue)
    bench.executor.complete(record, np.zeros(100_000))
    put = store.put(arena, np.zeros(100_000))
    viewed, in_record = (store.describe(arena, ref)["offset"] for ref in (put, result))
    assert spill.copies_lost(1) == []
    view = store.get_one(arena, put)
    assert spill.copies_lost(0) == [(viewed, 0)]
    assert not spill.drop(viewed, 1)
    bench.executor.finish(record)
    assert sorted(spill.copies_lost(0)) == sorted([(viewed, 0), (in_record, 0)])
    assert spill.drop(in_record, 2)
    del view
    assert spill.copies_lost(0) == [(viewed, 0)]
    assert spill.drop(viewed, 3)
    assert spill.copies_lost(0) == []


# ---- overflow ----


def test_a_full_queue_overflows_and_keeps_order(bench: Bench, arena: Arena, node: Any) -> None:
    room = 63 + 1_023 + 16_384  # of its rings: the last cell of all but the last says that there is another one
    seen: list[int] = []
    append = bench.template(seen.append, n_returns=0)
    for number in range(room + 500):
        append((number,))
    assert node.queue_length(bench.queue) == room + 1
    assert (EventKind.OVERFLOW, bench.queue) in node.events()[0]
    assert node.refill(bench.queue)  # no room yet
    assert bench.run_all() == room
    append((room + 500,))
    assert not node.refill(bench.queue)
    append((room + 501,))
    assert bench.run_all() == 502
    assert seen == list(range(room + 502))
    assert node.queue_length(bench.queue) == 0


def test_records_cancelled_in_the_overflow(bench: Bench, arena: Arena, node: Any) -> None:
    base = settle(arena)
    echo = bench.template(lambda x: x)
    refs = [echo((number,)) for number in range(16_384 + 300)]
    rng = random.Random(1)
    chosen = set(rng.sample(range(len(refs)), 400)) | set(range(16_400, 16_450))
    for index in chosen:
        assert cancel(arena, record_of(refs[index]), False, interrupted) == DROPPED
    left = [ref for index, ref in enumerate(refs) if index not in chosen]
    refs = []  # the cancelled ones are freed while the list still names them
    filler = [store.put(arena, bytes(100)) for _ in range(500)]
    assert node.statistics()["lineage"] == 0
    while bench.run_all():
        node.refill(bench.queue)
    assert len(store.get(arena, left)) == 16_384 + 300 - len(chosen)
    del left, filler, echo
    bench.functions.clear()
    assert settle(arena) <= base + (5 + 1 + 3) * 65536  # pages of the hold table, and the queue's larger rings
    assert RecordView(node.arena).find_records() == []


# ---- lineage ----


def test_arguments_are_kept_within_the_budget_and_given_back(bench: Bench, arena: Arena, node: Any) -> None:
    first = store.put(arena, bytes(100_000))
    echo = bench.template(lambda x: 1)
    refs = [echo((first,)), echo((b"x" * 10_000,)), echo((3,))]
    bench.run_all()
    assert 110_000 < node.statistics()["lineage"] < 112_000
    assert references(arena, first) == 2
    refs.pop(0)
    assert references(arena, first) == 1
    refs.clear()
    assert node.statistics()["lineage"] == 0


def test_kept_arguments_count_though_the_result_is_viewed_before_the_task_is_over(
    bench: Bench, arena: Arena, node: NodeView
) -> None:
    argument = store.put(arena, bytes(100_000))
    ref = bench.template(len)((argument,))
    record = bench.executor.pop(bench.queue)
    bench.executor.complete(record, np.ones(50_000))
    view = store.get(arena, [ref])[0]
    bench.executor.finish(record)
    assert 100_000 < node.statistics()["lineage"] < 101_000
    del view, ref
    assert node.statistics()["lineage"] == 0


def test_a_task_whose_arguments_are_gone_is_not_rebuilt(arena: Arena, bench: Bench, node: Any) -> None:
    ref = bench.template(lambda x: x, retries=-1)((5,))
    bench.run_all()
    record = record_of(ref)
    records = RecordView(node.arena)
    assert records.rebuild(record) == [], "no result of it was spilled"
    assert bench.run_all() == 0, "the node looks for its arguments first"
    assert records.release(record)
    assert bench.run_all() == 1
    dropped = bench.template(lambda x: x, retries=3)((5,))
    claimed = bench.executor.pop(bench.queue)
    assert claimed == record_of(dropped)
    store.fulfil(arena, dropped, 1)
    records.finish(claimed, NODE)
    assert records.rebuild(claimed) is None


# ---- pending arguments ----


def test_pending_arguments_wait_for_the_node(bench: Bench, arena: Arena, node: Any) -> None:
    promise = store.new_promise(arena)
    ref = bench.template(lambda x: x + 1)((promise,))
    assert bench.run_all() == 0
    record = record_of(ref)
    assert (EventKind.WAITING, record) in node.events()[0]
    store.fulfil(arena, promise, 4)
    assert RecordView(node.arena).release(record)
    assert not RecordView(node.arena).release(record)
    assert run(bench, ref) == 5
    failing = store.new_promise(arena)
    ref = bench.template(lambda x: x)((failing,))
    store.fulfil(arena, failing, b"broken", error=True)
    assert RecordView(node.arena).first_error(record_of(ref)) == b"broken"


# ---- streams ----


def cursor_of(template: Template, args: tuple[Any, ...] = ()) -> Any:
    """Submit a streaming call and return its cursor."""
    return template(args)


def stream_template(bench: Bench, **options: Any) -> Template:
    return bench.template(lambda: None, n_returns=-1, make_generator=lambda cursor: cursor, **options)


def test_a_stream(bench: Bench, arena: Arena) -> None:
    template = stream_template(bench)
    base = settle(arena)
    cursor = template(())
    record = bench.executor.pop(bench.queue)
    with pytest.raises(RuntimeError, match="not ready"):
        cursor.advance()
    items = []
    for number in range(10):
        bench.executor.stream(record).add([number, "x" * 20_000])
        if number % 3 == 0:
            items.append(cursor.advance())
    assert bench.executor.stream(record).position() == (10, 4)
    bench.executor.end_stream(record)
    while (item := cursor.advance()) is not None:
        items.append(item)
    assert [value[0] for value in store.get(arena, items)] == list(range(10))
    assert len({ref.binary() for ref in items}) == 10
    assert store.get_one(arena, cursor.done) is None
    assert cursor.advance() is None
    del items, cursor, item
    assert settle(arena) == base


@pytest.mark.parametrize("read", [0, 1, 3])
@pytest.mark.parametrize("drop_after", [0, 1, 4, 9])
def test_a_stream_left_unread_is_freed(bench: Bench, arena: Arena, read: int, drop_after: int) -> None:
    template = stream_template(bench, detached=True)
    base = settle(arena)
    cursor = template(())
    record = bench.executor.pop(bench.queue)
    kept: list[Any] = []
    for number in range(8):
        if number == drop_after:
            cursor = None
        bench.executor.stream(record).add(bytes(30_000))
        if cursor is not None and len(kept) < read:
            kept.append(cursor.advance())
    bench.executor.end_stream(record)
    del cursor
    assert all(len(store.get_one(arena, ref)) == 30_000 for ref in kept)
    kept.clear()
    assert settle(arena) == base


def test_a_long_stream_left_unread_is_freed_without_recursion(bench: Bench, arena: Arena) -> None:
    template = stream_template(bench)
    base = settle(arena)
    cursor = template(())
    record = bench.executor.pop(bench.queue)
    inner = store.put(arena, 0)
    for _ in range(50_000):
        bench.executor.stream(record).add([inner])
    bench.executor.end_stream(record)
    del cursor
    assert references(arena, inner) == 1
    del inner
    assert settle(arena) == base


@pytest.mark.parametrize("position", [0, 1, 3])
def test_an_item_that_cannot_be_serialized_ends_the_stream(bench: Bench, arena: Arena, position: int) -> None:
    template = stream_template(bench)
    base = settle(arena)
    cursor = template(())
    record = bench.executor.pop(bench.queue)
    for number in range(position):
        bench.executor.stream(record).add(number)
    with pytest.raises(TypeError):
        bench.executor.stream(record).add(x for x in "")
    bench.executor.fail(record, pickle.dumps(ValueError("ended")))
    assert [store.get_one(arena, cursor.advance()) for _ in range(position)] == list(range(position))
    with pytest.raises(ValueError, match="ended"):
        store.get_one(arena, cursor.advance())
    assert cursor.advance() is None
    with pytest.raises(ValueError, match="ended"):
        store.get_one(arena, cursor.done)
    del cursor
    assert settle(arena) == base


def test_a_stream_that_fails_and_one_that_is_cancelled(bench: Bench, arena: Arena) -> None:
    def over(record: int) -> bytes:
        return pickle.dumps(OSError("over"))

    template = stream_template(bench)
    base = settle(arena)
    for end in ("error", "cancel"):
        cursor = template(())
        if end == "cancel":
            assert cancel(arena, record_of(cursor.done), False, over) == DROPPED
        else:
            record = bench.executor.pop(bench.queue)
            bench.executor.stream(record).add(1)
            bench.executor.fail(record, over(record))
            assert store.get_one(arena, cursor.advance()) == 1
        with pytest.raises(OSError, match="over"):
            store.get_one(arena, cursor.advance())
        assert cursor.advance() is None
        del cursor
    assert bench.run_all() == 0
    assert settle(arena) == base


# ---- actors, classes ----


def test_an_actor(bench: Bench, arena: Arena, node: Any) -> None:
    actor = new_actor(arena, store.put_raw(arena, b"{}"))
    creation = Template(arena, bench.template(lambda *a: None).fn, actor=actor, kind=1)
    ready = submit_actor(actor, creation, (1, 2), {})
    assert (EventKind.ACTOR, actor.entry) in node.events()[0]
    assert bench.executor.creation_of_actor(actor.entry) == record_of(ready)
    assert RecordView(node.arena).release(record_of(ready))
    queue = bench.executor.queue_of_actor(actor.entry)
    bench.executor.run_record(bench.executor.pop(queue))
    assert store.get_one(arena, ready) is None
    call = Template(arena, bench.template(lambda x: x * 2).fn, actor=actor, kind=2)
    first, second = call((1,)), call((2,))
    assert actor.pending == 2
    while record := bench.executor.pop(queue):
        bench.executor.run_record(record)
    assert store.get(arena, [first, second]) == [2, 4]
    copy = store.get_one(arena, store.put(arena, {"handle": actor}))["handle"]
    assert copy == actor
    assert hash(copy) == hash(actor)
    assert copy.actor_id == actor.actor_id
    with pytest.raises(ValueError, match="is not an actor"):
        actor_core(first)
    offset = actor.entry
    del copy, actor, creation, call, ready, first, second
    assert (EventKind.ACTOR_SCOPE, offset) in node.events()[0]
    assert ObjectView(node.arena).actor_references(offset) == 0
    ObjectView(node.arena).free_actor(offset)


def test_a_submission_that_does_not_fit_leaks_nothing(small_arena: Arena) -> None:
    bench = Bench(small_arena)
    echo = bench.template(lambda x, y=None: x)
    inner = store.put(small_arena, 1)
    with pytest.raises(ArenaFullError):
        echo((bytes(small_arena.limit), [inner]))
    with pytest.raises(TypeError):
        echo(((x for x in ""), [inner]))
    assert references(small_arena, inner) == 1
    assert run(bench, echo((inner,))) == 1


def test_a_lease_given_back_too_late_leaves_the_next_one_alone(arena: Arena, bench: Bench, node: NodeView) -> None:
    slot, own_slot = arena.slot, OwnSlot(arena)
    node.lease(slot, 1, 7)
    served = own_slot.park(0)
    assert node.take_idle(slot)
    node.lease(slot, 2, 0x1000, True)
    given = own_slot.lease
    assert own_slot.park(own_slot.give_back(served)) == given == own_slot.lease
    node.lease(slot, 3, 8)
    served = own_slot.park(given)
    own_slot.give_back(served)
    assert node.lease_state(slot) == 0
    assert (EventKind.RETURNED, slot) in node.events()[0]


def test_objects_are_listed_by_id(arena: Arena, node: NodeView) -> None:
    ref = store.put(arena, b"x" * 1000)
    identity, size, count = next(row for row in ObjectView(node.arena).objects() if row[0] == ref.binary())
    assert size >= 1000
    assert count == 1
    del ref
    settle(arena)
    assert identity not in [row[0] for row in ObjectView(node.arena).objects()]
