"""Counts of references and views, and the memory that comes back."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import random
import threading
from typing import Any

import numpy as np
import pytest

from ray_async._core import store
from ray_async._core.arena import Arena, ArenaFullError
from ray_async._core.object_ref import ObjectRef, load_ref
from tests.core.session import Bench, DamageError, references


def settle(arena: Arena) -> int:
    """Bytes in use once empty slabs are taken back."""
    gc.collect()
    store.put(arena, None)  # the hold table has its first page from now on
    arena.trim()
    return int(arena.used)


def test_a_reference_counts_once_for_each_python_object(arena: Arena) -> None:
    ref = store.put(arena, [1])
    assert references(arena, ref) == 1
    again = load_ref(*ref.__reduce__()[1])
    assert references(arena, ref) == 3  # two objects, and the pickle that was made by hand
    assert again == ref
    assert hash(again) == hash(ref)
    del again
    assert references(arena, ref) == 2


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_release_in_every_order(small_arena: Arena, order: tuple[int, ...]) -> None:
    base = settle(small_arena)
    inner = store.put(small_arena, np.arange(5000))
    middle = store.put(small_arena, [inner, inner])
    held: list[Any] = [
        inner,
        middle,
        store.put(small_arena, {"a": middle, "b": inner}),
        store.get_one(small_arena, inner),
    ]
    del inner, middle
    for index in order:
        held[index] = None
    assert settle(small_arena) == base


@pytest.mark.parametrize("payload", ["embedded", "separate"])
def test_a_deep_chain_is_freed_without_recursion(arena: Arena, payload: str) -> None:
    base = settle(arena)
    filler = "" if payload == "embedded" else "x" * 20_000
    ref: ObjectRef[Any] = store.put(arena, None)
    for _ in range(100_000 if payload == "embedded" else 1500):
        ref = store.put(arena, [ref, filler])
    del ref
    assert settle(arena) == base


def test_a_wide_object_is_freed(arena: Arena) -> None:
    base = settle(arena)
    refs = [store.put(arena, i) for i in range(20_000)]
    ref = store.put(arena, refs)
    del refs
    assert [store.get_one(arena, r) for r in store.get_one(arena, ref)[::5000]] == [0, 5000, 10_000, 15_000]
    del ref
    # The hold table keeps the pages it grew to.
    assert settle(arena) <= base + 4 * 65536


def test_a_chain_of_tasks_is_freed_without_recursion(arena: Arena) -> None:
    bench = Bench(arena)
    step = bench.template(lambda x: x)
    ref = store.put(arena, 0)
    base = settle(arena)
    keep = ref
    for _ in range(50_000):
        ref = step((ref,))
        bench.run_all()
    assert store.get_one(arena, ref) == 0
    del ref
    assert settle(arena) == base
    assert references(arena, keep) == 1


def test_views_keep_an_object_for_as_long_as_there_is_one(arena: Arena) -> None:
    ref = store.put(arena, [np.arange(9000), np.ones(10)])
    first, second = store.get_one(arena, ref)
    assert (store.describe(arena, ref)["views"], references(arena, ref)) == (1, 2)
    part = first[5:10]
    del first
    assert store.describe(arena, ref)["views"] == 1
    del second
    assert store.describe(arena, ref)["views"] == 1
    del part
    assert (store.describe(arena, ref)["views"], references(arena, ref)) == (0, 1)
    array = store.get_one(arena, ref)[0]
    del ref
    others = [store.put(arena, np.full(9000, 7)) for _ in range(50)]
    assert array.tolist() == list(range(9000))
    del others


def test_everything_comes_back(small_arena: Arena) -> None:
    base = settle(small_arena)
    rng = random.Random(5)
    for _ in range(30):
        refs = [store.put(small_arena, bytes(rng.choice([0, 10, 500, 5000, 40_000, 200_000]))) for _ in range(8)]
        rng.shuffle(refs)
        while refs:
            refs.pop()
    assert settle(small_arena) == base


@pytest.mark.parametrize("seed", range(5))
def test_random_puts_and_releases_against_a_model(small_arena: Arena, seed: int) -> None:
    base = settle(small_arena)
    rng = random.Random(seed)
    model: dict[int, tuple[ObjectRef, bytes]] = {}
    full = 0
    for number in range(1500):
        if model and rng.random() < 0.4:
            ref, expected = model.pop(rng.choice(list(model)))
            assert store.get_one(small_arena, ref) == expected
        else:
            size = rng.choice([0, 1, 50, 64, 100, 300, 1000, 4000, 16_000, 17_000, 33_000, 66_000, 150_000, 400_000])
            value = number.to_bytes(4, "little") * (size // 4 + 1)
            try:
                model[number] = store.put(small_arena, value), value
            except ArenaFullError:
                full += 1
                model.pop(rng.choice(list(model)))
    for ref, expected in model.values():
        assert store.get_one(small_arena, ref) == expected
    del ref
    model.clear()
    assert settle(small_arena) == base
    assert full > 0


def test_a_full_arena_says_so_and_serves_again(small_arena: Arena) -> None:
    refs: list[ObjectRef] = []
    with pytest.raises(ArenaFullError) as caught:
        while True:
            refs.append(store.put(small_arena, bytes(100_000)))
    wanted, used, limit = caught.value.args
    assert wanted > 100_000
    assert limit - used < 2 * 65536
    assert limit == small_arena.limit
    refs.pop()
    refs.append(store.put(small_arena, bytes(100_000)))
    refs.clear()
    kept: list[ObjectRef] = []
    with pytest.raises(ArenaFullError):
        while True:
            kept.append(store.put(small_arena, bytes(1000)))
    assert len(kept) * 1000 > limit * 0.6
    del kept
    assert store.get_one(small_arena, store.put(small_arena, bytes(3_000_000))) == bytes(3_000_000)


def test_a_put_that_fails_half_way_leaks_nothing(small_arena: Arena) -> None:
    inner = store.put(small_arena, 1)
    for size in (100, 5_000_000):
        with pytest.raises(ArenaFullError):
            store.put(small_arena, [inner, b"x" * size if size > 1000 else bytes(small_arena.limit)])
    assert references(small_arena, inner) == 1


def test_nearly_full_slabs_are_used_when_there_is_nothing_else(small_arena: Arena) -> None:
    refs: list[ObjectRef] = []
    with pytest.raises(ArenaFullError):
        while True:
            refs.append(store.put(small_arena, bytes(300)))
    del refs[::20]
    freed = len(refs) // 19
    again: list[ObjectRef] = []
    with pytest.raises(ArenaFullError):
        while True:
            again.append(store.put(small_arena, bytes(300)))
    assert len(again) > freed * 0.9


def test_a_closed_session_is_told_of(arena: Arena) -> None:
    ref = store.put(arena, np.arange(10))
    array = store.get_one(arena, ref)
    arena.close()
    uses: list[Any] = [store.get_one, store.is_ready, lambda arena, ref: store.put(arena, 1)]
    for use in uses:
        with pytest.raises((ValueError, RuntimeError), match=r"shut down|forked"):
            use(arena, ref)
    assert array.sum() == 45
    del ref, array


def test_pickled_references_are_checked(arena: Arena) -> None:
    ref = store.put(arena, 1)
    entry, seq, session = ref.__reduce__()[1]
    assert load_ref(entry, seq, session) == ref
    assert pickle.loads(pickle.dumps(ref)) == ref
    for wrong in (
        (entry + 64, seq, session),
        (entry + 1, seq, session),
        (0, seq, session),
        (2**63, seq, session),
        (entry, seq + 1, session),
    ):
        with pytest.raises(ValueError, match="does not exist"):
            load_ref(*wrong)
    with pytest.raises(ValueError, match="another session"):
        load_ref(entry, seq, b"abcd")


def test_ids(arena: Arena) -> None:
    ref = store.put(arena, 1)
    assert ref == ObjectRef(ref.binary())
    assert len(ref.binary()) == ObjectRef.size() == 28
    assert ObjectRef.from_hex(ref.hex()) == ref
    assert ref.task_id().binary() == ref.binary()[:24]
    assert ObjectRef.nil().is_nil()
    assert not ref.is_nil()
    assert len({ref, store.put(arena, 1), ObjectRef(ref.binary())}) == 2
    with pytest.raises(ValueError, match="no object behind it"):
        store.get_one(arena, ObjectRef(ref.binary()))
    with pytest.raises(ValueError, match="needs to have length 28"):
        ObjectRef(b"short")
    with pytest.raises(TypeError):
        ObjectRef("text")  # type: ignore[arg-type]


# ---- waiting ----


def test_waits(arena: Arena) -> None:
    refs = [store.new_promise(arena) for _ in range(4)]
    assert store.wait(arena, refs, 1, 0) == ([], refs)
    assert store.fulfil(arena, refs[2], "c")
    assert not store.fulfil(arena, refs[2], "again")
    assert store.wait(arena, refs, 1, 5) == ([refs[2]], [refs[0], refs[1], refs[3]])
    with pytest.raises(TimeoutError, match="3 objects"):
        store.get(arena, refs, 0.01)
    store.fulfil(arena, refs[3], ValueError("no"), error=True)
    with pytest.raises(ValueError, match="no"):
        store.get(arena, refs, 5)
    assert store.is_ready(arena, refs[3])
    assert not store.is_ready(arena, refs[0])
    for ref in refs[:2]:
        store.fulfil(arena, ref, "x")
    assert store.get(arena, refs[:3]) == ["x", "x", "c"]
    assert store.wait(arena, refs, 2, None) == (refs[:2], refs[2:])


@pytest.mark.parametrize("timeout", [0, -1, 1e-9])
def test_a_timeout_that_is_over_does_not_wait(arena: Arena, timeout: float) -> None:
    with pytest.raises(TimeoutError):
        store.get_one(arena, store.new_promise(arena), timeout)


def test_timeouts_beyond_all_clocks(arena: Arena) -> None:
    assert store.get_one(arena, store.put(arena, 1), 1e300) == 1
    ref = store.new_promise(arena)
    thread = threading.Thread(target=store.fulfil, args=(arena, ref, 2))
    thread.start()
    assert store.get_one(arena, ref, float("inf")) == 2
    thread.join()
    with pytest.raises(ValueError, match="not a number"):
        store.get_one(arena, store.new_promise(arena), float("nan"))


def test_threads_that_wait_for_the_same_objects_all_wake(arena: Arena) -> None:
    for _ in range(50):
        refs = [store.new_promise(arena) for _ in range(3)]
        found: list[Any] = []
        threads = [
            threading.Thread(target=lambda refs=refs, found=found: found.append(store.get(arena, refs, 30)))
            for _ in range(4)
        ]
        threads.append(
            threading.Thread(
                target=lambda refs=refs, found=found: found.append(
                    store.get(arena, [refs[0], refs[0], *refs[1:]], 30)[1:]
                )
            )
        )
        for thread in threads:
            thread.start()
        for number, ref in enumerate(refs):
            store.fulfil(arena, ref, number)
        for thread in threads:
            thread.join()
        assert found == [[0, 1, 2]] * 5


def test_the_node_that_goes_ends_waits(arena: Arena) -> None:
    read, write = os.pipe()
    arena.node_fd = read
    os.close(write)
    try:
        with pytest.raises(DamageError, match="the node is gone"):
            store.get_one(arena, store.new_promise(arena))
    finally:
        arena.node_fd = -1
        os.close(read)
