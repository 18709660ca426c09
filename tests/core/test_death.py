"""What a process that is killed leaves in the arena, and what the node takes back."""

from __future__ import annotations

import mmap
import os
import random
import select
import signal
import struct
import time
from typing import Any

import numpy as np
import pytest

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.constants import EventKind
from ray_async._core.loop_waiter import LoopWaiter
from ray_async._core.node_view import NodeView
from ray_async._core.object_ref import load_ref
from ray_async._core.spill_view import SpillView
from tests.core.session import WORKER, references
from tests.core.test_references import settle

REFERENCES = 20
WAITERS, USED = 56, 112  # where in the arena's first page the waiter table's offset is, and the count of chunks in use


def test_a_forked_child_leaves_the_counts_alone(arena: Arena) -> None:
    ref = store.put(arena, np.arange(10_000))
    view = store.get_one(arena, ref)
    pid = os.fork()
    if pid == 0:
        arena.after_fork()
        del ref, view
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert (references(arena, ref), store.describe(arena, ref)["views"]) == (2, 1)
    del view


def child(arena: Arena, slot: int, pipe: int, pickled: list[tuple[int, int, bytes]], seed: int) -> None:
    """Join, and take and drop references, views and objects until killed."""
    rng = random.Random(seed)
    arena.join(WORKER, slot=slot)
    held: list[Any] = []
    os.write(pipe, b"x")
    while True:
        ref = load_ref(*rng.choice(pickled))
        action = rng.randrange(4)
        if action == 0:
            held.append(ref)
        elif action == 1:
            held.append(store.get_one(arena, ref))
        elif action == 2:
            held.append(store.put(arena, [ref, bytes(rng.choice([10, 1000, 40_000]))]))
        while len(held) > 30:
            held.pop(rng.randrange(len(held)))


@pytest.mark.parametrize("seed", range(12))
def test_counts_after_a_kill_at_any_moment(arena: Arena, seed: int) -> None:
    waiter = LoopWaiter(arena)
    node = NodeView(arena, waiter.index)
    refs = [store.put(arena, np.full(1000, i)) for i in range(REFERENCES)]
    pickled = [ref.__reduce__()[1] for ref in refs]
    before = [references(arena, ref) for ref in refs]
    base = settle(arena)
    off = 0
    for round_ in range(4):
        slot = node.reserve()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(arena, slot, write, pickled, seed * 100 + round_)
            finally:
                os._exit(1)
        os.close(write)
        assert os.read(read, 1) == b"x"
        os.close(read)
        time.sleep(random.Random(seed * 7 + round_).random() * 0.02)  # the moment of death is what varies here
        os.kill(pid, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        node.reap(slot)
        after = [references(arena, ref) for ref in refs]
        assert all(now >= then for now, then in zip(after, before, strict=True)), f"freed early: {before} {after}"
        off += sum(after) - sum(before)
        before = after
        assert [store.get_one(arena, ref)[0] for ref in refs] == list(range(REFERENCES))
    # One object may leak for each death: its count, or its block, in the slab that it keeps.
    assert off <= 4
    assert settle(arena) <= base + 4 * 2 * 65536
    waiter.close()


class Flag:
    """A future as the loop waiter knows it."""

    def __init__(self) -> None:
        self.settled = False

    def done(self) -> bool:
        return self.settled

    def set_result(self, _: None) -> None:
        self.settled = True


def test_after_a_death_loops_look_at_everything(arena: Arena) -> None:
    """The dead process may have put a loop's waiter to `awake` and not sent the datagram any more."""
    waiter, future = LoopWaiter(arena), Flag()
    node = NodeView(arena, waiter.index)
    promise = store.new_promise(arena)
    assert waiter.watch(promise, future)
    slot = node.reserve()
    with mmap.mmap(arena.fd, arena.size) as memory:
        (waiters,) = struct.unpack_from("<Q", memory, WAITERS)
        struct.pack_into("<I", memory, waiters + 128 * waiter.index + 4, 0)  # its word `armed`
    store.fulfil(arena, promise, 5)
    assert not select.select([waiter], [], [], 0)[0], "nobody says anything"
    pid = os.fork()
    if pid == 0:
        arena.join(WORKER, slot=slot)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    node.reap(slot)
    assert select.select([waiter], [], [], 10)[0]
    waiter.on_readable()
    assert future.done()
    waiter.close()


def test_the_count_of_chunks_in_use_is_corrected(arena: Arena) -> None:
    """A process that is killed while it claims chunks leaves it too high; one that goes on is left alone."""
    node = NodeView(arena, 0)
    kept = store.put(arena, bytes(200_000))
    used = arena.used
    with mmap.mmap(arena.fd, arena.size) as memory:
        struct.pack_into("<Q", memory, USED, used // 65536 + 100)
        assert not node.mend_used()
        struct.pack_into("<Q", memory, USED, used // 65536 + 7)
    assert [node.mend_used(), arena.used > used] == [False, True]
    assert [node.mend_used(), arena.used == used] == [True, True]
    assert not node.mend_used()
    del kept


def test_a_wake_up_for_an_earlier_object_in_the_same_place_settles_nothing(arena: Arena) -> None:
    waiter = LoopWaiter(arena)
    earlier = [store.new_promise(arena) for _ in range(1024)]
    places = {store.describe(arena, ref)["offset"] for ref in earlier}
    for ref in earlier:
        future = Flag()
        assert waiter.watch(ref, future)
        waiter.forget(ref, future)
        store.fulfil(arena, ref, 5)
    earlier.clear()
    del ref
    kept = [store.new_promise(arena)]
    while store.describe(arena, kept[-1])["offset"] not in places:
        kept.append(store.new_promise(arena))
    later = Flag()
    assert waiter.watch(kept[-1], later)
    settled = []
    waiter.on_readable()
    settled.append(later.settled)
    store.fulfil(arena, kept[-1], 6)
    waiter.on_readable()
    settled.append(later.settled)
    assert settled == [False, True]
    waiter.close()


@pytest.mark.parametrize("watched_again", [False, True])
def test_what_goes_to_disk_again_before_a_loop_has_looked_is_not_lost(arena: Arena, *, watched_again: bool) -> None:
    """Two loops wait for an object on disk, which comes back and goes again at once: the store is full."""
    spill, ref = SpillView(arena), store.put(arena, bytes(200_000))
    entry = store.describe(arena, ref)["offset"]

    def away(number: int) -> None:
        assert spill.spill_begin(entry) is not None
        spill.spill_done(entry, number)

    def back() -> None:
        memory = spill.restore_begin(entry)
        assert memory is not None
        spill.restore_done(entry, memory[0])

    away(1)
    waiters, futures = [LoopWaiter(arena) for _ in range(3)], [Flag() for _ in range(3)]
    for waiter, future in zip(waiters[:2], futures, strict=False):
        assert waiter.watch(ref, future)
    back()
    away(2)
    if watched_again:
        assert waiters[2].watch(ref, futures[2])
    node = NodeView(arena, 0)
    node.events()
    for waiter in waiters:
        waiter.on_readable()
    asked = [(EventKind.LOST, entry)] * 2 if watched_again else []  # by the loops that watch on
    assert node.events()[0] == asked
    back()
    for waiter in waiters:
        waiter.on_readable()
    assert [future.settled for future in futures] == [True, True, watched_again]
    for waiter in waiters:
        waiter.close()
