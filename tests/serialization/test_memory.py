"""Plain memory: bytes, machine arrays and their like, alone and inside other values."""

from __future__ import annotations

import sys
from array import array
from pickle import PickleBuffer
from typing import Any

import pytest

from ray_async._core import store
from ray_async._core.arena import Arena

SIZE = 300_000
# Text in arrays: the older code is deprecated where the newer one is.
TEXT = "w" if sys.version_info >= (3, 13) else "u"


def put(arena: Arena, value: Any) -> tuple[Any, int]:
    """The value as it comes back, and the bytes that it takes in the store."""
    ref = store.put(arena, value)
    return store.get_one(arena, ref), store.describe(arena, ref)["size"]


@pytest.mark.parametrize(
    "values",
    [array("d", range(1000)), array("b"), array(TEXT, "aä€"), array("Q", [2**64 - 1])],
    ids=lambda values: values.typecode,
)
def test_machine_arrays(arena: Arena, values: Any) -> None:
    found, size = put(arena, values)
    assert type(found) is array
    assert found == values
    assert found.typecode == values.typecode
    assert size < values.itemsize * len(values) + 200
    found.append(found[0] if found else 0)  # of one's own


def test_a_subclass_of_a_machine_array_keeps_its_way(arena: Arena) -> None:
    class Numbers(array):  # type: ignore[type-arg]
        pass

    found, _ = put(arena, Numbers("i", [1, 2]))
    assert type(found).__name__ == "Numbers"
    assert found.tolist() == [1, 2]


def test_large_parts_of_a_value_are_stored_once(arena: Arena) -> None:
    parts: list[Any] = [b"b" * SIZE, bytearray(b"a" * SIZE), "s" * SIZE, "é" * SIZE, {"in": bytearray(SIZE)}, b"", [1]]
    found, size = put(arena, parts)
    assert found == parts
    assert [type(part) for part in found] == [type(part) for part in parts]
    assert size < 6 * SIZE + 500


def test_a_bytearray_can_grow_again_once_it_is_stored(arena: Arena) -> None:
    data = bytearray(SIZE)
    ref = store.put(arena, data)
    data.extend(b"more")
    found = store.get_one(arena, ref)
    assert found == bytearray(SIZE)
    found.extend(b"other")


def test_a_buffer_in_two_objects_is_stored_once(arena: Arena) -> None:
    memory = bytes(range(256)) * 1000

    class Part:
        def __init__(self, start: int, stop: int) -> None:
            self.place = slice(start, stop)

        def __reduce__(self) -> Any:
            return memoryview, (PickleBuffer(memoryview(memory)[self.place]),)

    found, size = put(arena, [Part(0, 256_000), Part(5, 9), Part(0, 256_000), Part(7, 7), Part(255_000, 256_000)])
    places = [slice(0, 256_000), slice(5, 9), slice(0, 256_000), slice(7, 7), slice(255_000, 256_000)]
    assert [bytes(part) for part in found] == [memory[place] for place in places]
    assert size < len(memory) + 4000
