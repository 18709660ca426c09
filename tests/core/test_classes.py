"""Scheduling classes in the arena: one for each description, whatever instruction a kill hits while it is made."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.constants import EventKind
from ray_async._core.record_view import RecordView
from ray_async._core.submission import Template, class_seq, get_class, lease_first, read_class_spec
from tests.core.session import WORKER, Bench
from tests.core.stepping import Stepper

IDLE = 1


def find(arena: Arena, description: bytes) -> tuple[int, int, Any, bool]:
    """The class with a description, made where there is none."""
    found = get_class(arena, store.put_raw(arena, description), description)
    assert found is not None
    return found


def end(node: Any, number: int) -> bool:
    """Close and free a class; whether that could be done."""
    return bool(node.close_class(number)) and bool(node.end_class(number))


def test_one_class_for_each_description(arena: Arena, node: Any) -> None:
    number, queue, reference, made = find(arena, b'{"CPU": 1}')
    assert made
    assert node.class_spec(number) == (b'{"CPU": 1}', queue)
    assert read_class_spec(arena, number) == b'{"CPU": 1}'
    assert (EventKind.CLASS, number) in node.events()[0]
    assert node.class_spec(number + 1) is None
    again = find(arena, b'{"CPU": 1}')
    assert again == (number, queue, reference, False)
    assert find(arena, b'{"CPU": 2}')[0] != number
    assert get_class(arena, None, b'{"CPU": 3}') is None


def test_a_class_ends_with_its_last_user(arena: Arena, node: Any) -> None:
    other = find(arena, b"other")  # a page of holds is there
    arena.trim()
    before = arena.used
    number, queue, first, _ = find(arena, b"description")
    second = find(arena, b"description")[2]
    del first
    assert node.unused_classes() == []
    assert not node.close_class(number)
    del second
    assert node.unused_classes() == [(number, queue)]
    assert find(arena, b"description")[:2] == (number, queue)  # used again before the node has looked
    assert node.close_class(number) == queue
    assert get_class(arena, None, b"description") is None
    node.reopen_class(number)
    assert find(arena, b"description")[0] == number
    assert end(node, number)
    assert node.class_spec(number) is None
    assert not end(node, number)
    arena.trim()
    assert arena.used == before
    assert other


def test_a_place_of_the_table_is_used_again(arena: Arena, node: Any) -> None:
    number, _, reference, _ = find(arena, b"first")
    seq = class_seq(arena, number)
    del reference
    assert end(node, number)
    again, _, reference, _ = find(arena, b"second")
    assert again == number
    assert class_seq(arena, again) != seq
    assert get_class(arena, None, b"first") is None
    assert reference


def test_many_descriptions_one_after_the_other(arena: Arena, node: Any) -> None:
    used = set()
    for i in range(10_000):
        number, _, reference, made = find(arena, b"%d" % i)
        assert made
        used.add(number)
        del reference
        if i % 100 == 99:
            assert all(end(node, unused) for unused, _ in node.unused_classes())
    assert len(used) == 100
    assert node.unused_classes() == []


def test_a_full_table_says_so(arena: Arena, node: Any) -> None:
    kept = [find(arena, b"%d" % i) for i in range(4095)]
    assert len({number for number, *_ in kept}) == 4095
    node.events()
    assert get_class(arena, store.put_raw(arena, b"one more"), b"one more") is None
    assert (EventKind.CLASS, 0) in node.events()[0]
    assert find(arena, b"77")[0] == kept[77][0]
    number = kept.pop()[0]
    assert end(node, number)
    assert find(arena, b"one more")[0] == number
    for number, _, _, _ in kept[::2]:
        assert not node.close_class(number)


def test_records_that_may_run_keep_their_class(arena: Arena, node: Any) -> None:
    bench, records = Bench(arena), RecordView(arena)
    _, queue, reference, _ = find(arena, b"description")
    bench.functions[b"f"] = lambda: bytes(100_000)
    template = Template(arena, store.put_raw(arena, b"f"), queue=queue, retries=1, keep=reference)
    del reference
    large = template(())
    assert records.queues() == {queue}
    record = bench.executor.pop(queue)
    assert records.queues() == {queue}  # it runs, and may have to run again
    bench.executor.run_record(record)
    assert records.queues() == {queue}  # its result may be lost
    del large
    assert records.queues() == set()
    bench.functions[b"f"] = lambda: b"small"
    small = Template(arena, store.put_raw(arena, b"f"), queue=queue, retries=1)(())
    bench.executor.run_record(bench.executor.pop(queue))
    assert store.get(arena, [small]) == [b"small"]
    assert records.queues() == set()  # what is small is not lost


def test_a_class_that_is_served_does_not_end(arena: Arena, node: Any) -> None:
    bench = Bench(arena)
    number, queue, reference, _ = find(arena, b"description")
    slot = arena.slot
    node.lease(slot, 7, number)
    lease = IDLE | 7 << 8 | number << 32
    del reference
    assert node.close_class(number)
    assert not node.end_class(number)  # it is leased
    assert bench.executor.enter(lease) == queue
    assert node.take_idle(slot)
    assert not node.end_class(number)  # its worker has not left the queue
    bench.executor.leave()
    assert node.end_class(number)
    assert bench.executor.enter(lease) == 0
    assert not lease_first(arena, slot, number)


def test_a_lease_that_is_taken_back_is_not_entered(arena: Arena, node: Any) -> None:
    number, _, reference, _ = find(arena, b"description")
    node.lease(arena.slot, 7, number)
    assert node.take_idle(arena.slot)
    assert Bench(arena).executor.enter(IDLE | 7 << 8 | number << 32) == 0
    assert reference


def test_processes_that_make_the_same_classes_at_once_share_them(arena: Arena, node: Any) -> None:
    """Each child notes which place it got for each description."""
    children, descriptions = 4, 200
    slots = [arena.reserve(WORKER) for _ in range(children)]
    shared = mmap.mmap(-1, 4 * (children * descriptions + 1 + children))
    words = memoryview(shared).cast("I")
    pids = []
    for child, slot in enumerate(slots):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                arena.join(WORKER, slot)
                words[children * descriptions + 1 + child] = 1
                while words[children * descriptions] == 0:
                    pass
                kept = []
                for i in range(descriptions):
                    kept.append(find(arena, b"%d" % i))
                    words[child * descriptions + i] = kept[-1][0]
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    while not all(words[children * descriptions + 1 :]):
        pass
    words[children * descriptions] = 1
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * children
    rows = [list(words[child * descriptions : (child + 1) * descriptions]) for child in range(children)]
    words.release()
    shared.close()
    assert rows == [rows[0]] * children
    assert len(set(rows[0])) == descriptions
    for slot in slots:
        node.reap(slot)
    for number, _ in node.unused_classes():
        assert end(node, number)
    assert get_class(arena, None, b"0") is None


@pytest.mark.parametrize("exists", [False, True])
def test_kills_while_a_class_is_made_or_found(small_arena: Arena, tmp_path: Path, exists: bool) -> None:
    bench = Bench(small_arena)
    kept = [find(small_arena, b"other")]
    if exists:
        kept.append(find(small_arena, b"description"))

    def prepare() -> Callable[[], object]:
        warm.append(find(small_arena, b"warm"))  # so that blocks and hold pages are there
        return lambda: find(small_arena, b"description")

    warm: list[Any] = []
    outcomes = Stepper(small_arena, tmp_path, bench.queue, [], []).outcomes(prepare)
    assert len(outcomes) > 10
    used = outcomes[0][0]
    # Between a count and its note a kill leaves the class with one user too many.
    assert sum(now != used for now, _ in outcomes) <= 4
    assert kept


def test_kills_while_a_queue_grows(small_arena: Arena, tmp_path: Path) -> None:
    bench = Bench(small_arena)

    append = bench.template(str, n_returns=0)

    def prepare() -> Callable[[], object]:
        for i in range(63):
            append((i,))
        return lambda: append((63,))

    outcomes = Stepper(small_arena, tmp_path, bench.queue, [], []).outcomes(prepare)
    assert len(outcomes) > 10
    rings = {now - outcomes[0][0] for now, _ in outcomes}
    # Either the larger ring hangs behind the first one, or it came back: never a second one.
    assert rings <= {0, 65_536}
