"""Memory of objects for types that know nothing of read-only memory, such as torch's tensors."""

from __future__ import annotations

from pickle import PickleBuffer
from typing import Any

import numpy as np
import pytest

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.object_ref import PrivateBuffer
from ray_async.reducers.memory import writable

SMALL, LARGE = 1000, 300_001  # below and above what is mapped instead of copied


class Weights:
    """Numbers that are changed in place, as a model's are."""

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.values = np.frombuffer(memory, dtype=np.uint8)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return load_weights, (PickleBuffer(self.values.data),)


def load_weights(buffer: Any) -> Weights:
    return Weights(writable(buffer))


def make_weights(size: int) -> Weights:
    return Weights(bytearray(np.random.default_rng(size).integers(0, 255, size, dtype=np.uint8).tobytes()))


@pytest.mark.parametrize("size", [1, SMALL, LARGE])
def test_who_writes_changes_nobody_elses_value(arena: Arena, size: int) -> None:
    weights = make_weights(size)
    ref = store.put(arena, weights)
    first, second = store.get_one(arena, ref), store.get_one(arena, ref)
    first.values[:] += 1
    np.testing.assert_array_equal(second.values, weights.values)
    np.testing.assert_array_equal(store.get_one(arena, ref).values, weights.values)
    np.testing.assert_array_equal(first.values, weights.values + 1)


def test_large_memory_is_mapped_and_keeps_its_object(arena: Arena) -> None:
    weights = make_weights(LARGE)
    ref = store.put(arena, weights)
    found = store.get_one(arena, ref)
    assert isinstance(found.memory, PrivateBuffer)
    assert len(found.memory) == LARGE
    assert found.values.ctypes.data % 64 == 0
    assert store.describe(arena, ref)["views"] == 1
    del ref
    others = [store.put(arena, np.zeros(LARGE, dtype=np.uint8)) for _ in range(5)]  # where a freed one was
    np.testing.assert_array_equal(found.values, weights.values)
    del others


def test_the_object_is_let_go_with_the_memory(arena: Arena) -> None:
    ref = store.put(arena, make_weights(LARGE))
    found = store.get_one(arena, ref)
    part = found.values[5:10]
    del found
    assert store.describe(arena, ref)["views"] == 1
    del part
    assert store.describe(arena, ref)["views"] == 0


def test_small_memory_is_copied(arena: Arena) -> None:
    ref = store.put(arena, make_weights(SMALL))
    assert isinstance(store.get_one(arena, ref).memory, bytearray)
    assert store.describe(arena, ref)["views"] == 0


def test_what_was_changed_can_be_put_again(arena: Arena) -> None:
    found = store.get_one(arena, store.put(arena, make_weights(LARGE)))
    found.values[:] = 7
    again = store.get_one(arena, store.put(arena, found))
    assert (again.values == 7).all()


def test_memory_that_is_not_an_objects_is_copied() -> None:
    memory = b"abc"
    copy = writable(memory)
    copy[0] = 0
    assert memory == b"abc"
