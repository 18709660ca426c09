"""What readers write into objects, past every flag, stays with them."""

from __future__ import annotations

import ctypes
import os
from pickle import PickleBuffer
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async.serialization.reducers.memory import writable
from tests.core.session import Bench

# Copied; copied, in a block that others share; a run of chunks; one that is looked through while others may run.
SIZES = [1, 1000, 30_000, 40_000, 300_001, 2_000_003]
VIEWED = 300_001
MORE_THAN_LANES = 20


@pytest.fixture
def bench(arena: Arena) -> Bench:
    return Bench(arena)


def write_through(array: Any, value: int) -> None:
    """Write as libraries do that were given an address and no flag."""
    ctypes.memset(array.ctypes.data, value, array.nbytes)


def check_and_write(array: Any, value: int) -> None:
    assert (array == value).all()
    write_through(array, 200)


def numbers(size: int) -> Any:
    return np.random.default_rng(size).integers(0, 100, size, dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_one_reader_after_the_other(arena: Arena, size: int) -> None:
    values = numbers(size)
    ref = store.put(arena, values)
    for value in range(20):
        found = store.get_one(arena, ref)
        np.testing.assert_array_equal(found, values)
        write_through(found, 100 + value)
        assert (found == 100 + value).all()


@pytest.mark.parametrize("size", SIZES)
def test_readers_at_the_same_time(arena: Arena, size: int) -> None:
    values = numbers(size)
    ref = store.put(arena, values)
    before = store.get_one(arena, ref)
    found = [store.get_one(arena, ref) for _ in range(MORE_THAN_LANES)]
    for value, each in enumerate(found):
        np.testing.assert_array_equal(each, values)
        write_through(each, 100 + value)
    assert [int(array[-1]) for array in found] == list(range(100, 100 + MORE_THAN_LANES))
    np.testing.assert_array_equal(before, values)
    np.testing.assert_array_equal(store.get_one(arena, ref), values)
    found.clear()
    np.testing.assert_array_equal(store.get_one(arena, ref), values)


@pytest.mark.parametrize("size", SIZES)
def test_the_next_object_in_the_same_place(small_arena: Arena, size: int) -> None:
    room = 3 << 20
    for value in range(1, 40):
        refs = [store.put(small_arena, np.full(size, value, dtype=np.uint8)) for _ in range(min(8, room // size))]
        while refs:
            check_and_write(store.get_one(small_arena, refs.pop()), value)


def test_parts_of_one_value(arena: Arena) -> None:
    parts: Any = {"a": np.full(50_000, 1), "b": [np.full(10, 2), np.full(70_000, 3)]}
    ref = store.put(arena, parts)
    found = store.get_one(arena, ref)
    write_through(found["a"], 9)
    assert set(found["b"][0]) == {2}
    assert set(found["b"][1]) == {3}
    assert set(store.get_one(arena, ref)["a"]) == {1}


@pytest.mark.parametrize("length", [10, 100_000])
def test_arrow_buffers(arena: Arena, length: int) -> None:
    ref = store.put(arena, pa.table({"n": pa.array(range(length), pa.int64())}))
    for _ in range(3):
        buffer = store.get_one(arena, ref)["n"].chunk(0).buffers()[1]
        assert not buffer.is_mutable
        ctypes.memset(buffer.address, 255, buffer.size)
        assert store.get_one(arena, ref)["n"].to_pylist() == list(range(length))


@pytest.mark.parametrize("size", SIZES)
def test_arguments(bench: Bench, arena: Arena, size: int) -> None:
    def scribble(array: Any) -> int:
        write_through(array, int(array[0]) + 1)
        return int(array[-1])

    call = bench.template(scribble)
    ref = store.put(arena, np.zeros(size, dtype=np.uint8))
    results = [call((ref,)) for _ in range(3)] + [call((np.zeros(size, dtype=np.uint8),)) for _ in range(3)]
    bench.run_all()
    assert store.get(arena, results) == [1] * 6
    assert not store.get_one(arena, ref).any()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_changed_can_be_put_again(arena: Arena, size: int) -> None:
    found = store.get_one(arena, store.put(arena, numbers(size)))
    write_through(found, 7)
    again = store.put(arena, found)
    write_through(found, 8)
    assert (store.get_one(arena, again) == 7).all()


def test_memory_for_readers_of_their_own_survives_the_session(arena: Arena) -> None:
    refs = [store.put(arena, numbers(size)) for size in SIZES]
    found = store.get(arena, refs)
    del refs
    arena.close()
    for size, array in zip(SIZES, found, strict=True):
        np.testing.assert_array_equal(array, numbers(size))
        write_through(array, 3)
        assert (array == 3).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_forked_child_writes_for_itself(arena: Arena, size: int) -> None:
    values = numbers(size)
    ref = store.put(arena, values)
    found = store.get_one(arena, ref)
    pid = os.fork()
    if pid == 0:
        arena.after_fork()
        same = bool((found == values).all())
        write_through(found, 200)
        del found, ref
        os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(store.get_one(arena, ref), values)


def test_a_view_keeps_its_object_and_a_copy_does_not(arena: Arena) -> None:
    small, large = store.put(arena, numbers(30_000)), store.put(arena, numbers(VIEWED))
    found = store.get(arena, [small, large])
    assert store.describe(arena, small)["views"] == 0
    assert store.describe(arena, large)["views"] == 1
    assert all(array.ctypes.data % 64 == 0 or array.nbytes < 64 for array in found)
    part = found.pop()[5:10]
    assert store.describe(arena, large)["views"] == 1
    del part
    assert store.describe(arena, large)["views"] == 0


def test_views_that_have_a_mapping_of_their_own_keep_the_object(arena: Arena) -> None:
    ref = store.put(arena, numbers(VIEWED))
    found = [store.get_one(arena, ref) for _ in range(MORE_THAN_LANES)]
    assert store.describe(arena, ref)["views"] == MORE_THAN_LANES
    del ref
    others = [store.put(arena, np.zeros(VIEWED, dtype=np.uint8)) for _ in range(5)]  # where a freed one was
    for array in found:
        np.testing.assert_array_equal(array, numbers(VIEWED))
    del others


# ---- memory that may be written to ----


class Weights:
    """Numbers that are changed in place, as a model's are."""

    def __init__(self, memory: Any) -> None:
        self.values = np.frombuffer(memory, dtype=np.uint8)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return load_weights, (PickleBuffer(self.values.data),)


def load_weights(buffer: Any) -> Weights:
    return Weights(writable(buffer))


@pytest.mark.parametrize("size", SIZES)
def test_who_may_write_changes_nobody_elses_value(arena: Arena, size: int) -> None:
    weights = Weights(bytearray(numbers(size)))
    ref = store.put(arena, weights)
    first, second = store.get_one(arena, ref), store.get_one(arena, ref)
    first.values[:] += 1
    np.testing.assert_array_equal(second.values, weights.values)
    np.testing.assert_array_equal(store.get_one(arena, ref).values, weights.values)
    np.testing.assert_array_equal(first.values, weights.values + 1)


def test_arrays_stay_read_only(arena: Arena) -> None:
    for size in SIZES:
        found = store.get_one(arena, store.put(arena, numbers(size)))
        assert not found.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            found.flags.writeable = True


def test_memory_that_is_not_an_objects_is_copied() -> None:
    memory = b"abc"
    copy = writable(memory)
    copy[0] = 0
    assert memory == b"abc"
