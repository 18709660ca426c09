"""Slices of Arrow data: equal when they come back, and stored without what they leave out."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async.serialization.reducers.arrow import reduce_arrow_array
from tests.serialization.random_arrays import random_array

ROWS = 20_000
NUMBERS = pa.array(np.arange(ROWS))
WORDS = pa.array([f"a word with the number {n}" for n in range(ROWS)])
ITEMS = pa.array(np.arange(3 * ROWS))
ENDS = pa.array(np.arange(0, 3 * ROWS + 1, 3, dtype="i4"))
LAYOUTS: dict[str, Any] = {
    "int64": NUMBERS,
    "bool": pa.array([n % 3 == 0 for n in range(ROWS)]),
    "with nulls": pa.array([None if n % 7 == 0 else n for n in range(ROWS)]),
    "timestamp": NUMBERS.cast(pa.timestamp("us", "Europe/Berlin")),
    "decimal": NUMBERS.cast(pa.decimal128(30, 2)),
    "fixed binary": pa.array([b"%05d" % n for n in range(ROWS)], pa.binary(5)),
    "string": WORDS,
    "large_string": WORDS.cast(pa.large_string()),
    "string_view": WORDS.cast(pa.string_view()),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array(np.arange(ROWS) % 3), pa.array(["x", "y", "z"])),
    "list": pa.ListArray.from_arrays(ENDS, ITEMS),
    "large_list": pa.LargeListArray.from_arrays(ENDS.cast(pa.int64()), ITEMS),
    "list_view": pa.ListViewArray.from_arrays(ENDS[:-1], pa.array(np.full(ROWS, 3, "i4")), ITEMS),
    "fixed-size list": pa.FixedSizeListArray.from_arrays(ITEMS, 3),
    "map": pa.MapArray.from_arrays(pa.array(np.arange(ROWS + 1, dtype="i4")), WORDS, NUMBERS),
    "struct": pa.StructArray.from_arrays([NUMBERS, WORDS], ["n", "s"]),
    "sparse union": pa.UnionArray.from_sparse(pa.array(np.arange(ROWS, dtype="i8") % 2, pa.int8()), [NUMBERS, WORDS]),
    "dense union": pa.UnionArray.from_dense(
        pa.array(np.arange(ROWS) % 2, pa.int8()), pa.array(np.arange(ROWS), pa.int32()), [NUMBERS, WORDS]
    ),
    "run-end encoded": pa.RunEndEncodedArray.from_arrays(pa.array(np.arange(1, ROWS + 1, dtype="i4")), NUMBERS),
    "lists of structs of strings": pa.ListArray.from_arrays(
        ENDS[: ROWS // 3], pa.StructArray.from_arrays([WORDS, NUMBERS], ["s", "n"])
    ),
}


def put(arena: Arena, value: Any) -> tuple[Any, int]:
    """The value as it comes back, and the bytes that it takes in the store."""
    ref = store.put(arena, value)
    return store.get_one(arena, ref), store.describe(arena, ref)["size"]


def rebuilt(array: Any) -> Any:
    rebuild, args = reduce_arrow_array(array)
    return rebuild(*args)


@given(seed=st.integers(0, 1 << 32), length=st.integers(0, 40))
@settings(max_examples=500, deadline=None)
def test_any_slice_of_any_layout(seed: int, length: int) -> None:
    array = random_array(Random(seed), length)
    found = rebuilt(array)
    found.validate(full=True)
    assert found.type == array.type
    assert type(found) is type(array)
    assert found.to_pylist() == array.to_pylist()
    assert found.null_count == array.null_count
    assert found.get_total_buffer_size() <= array.get_total_buffer_size() + 64


@given(seed=st.integers(0, 1 << 32), length=st.integers(0, 40))
@settings(max_examples=300, deadline=None)
def test_a_slice_of_what_came_back(seed: int, length: int) -> None:
    random = Random(seed)
    array = random_array(random, length)
    start = random.randint(0, length)
    size = random.randint(0, length - start)
    found = rebuilt(rebuilt(array).slice(start, size))
    found.validate(full=True)
    assert found.to_pylist() == array.slice(start, size).to_pylist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ten_rows_take_the_room_of_ten_rows(arena: Arena, layout: str) -> None:
    array = LAYOUTS[layout]
    for start in (0, 5, len(array) // 2 + 3, len(array) - 10):
        part = array.slice(start, 10)
        found, size = put(arena, part)
        found.validate(full=True)
        assert found.to_pylist() == part.to_pylist()
        assert size < 4000, (layout, start)
        chunked, size = put(arena, pa.chunked_array([part]))
        assert chunked.to_pylist() == part.to_pylist()
        assert size < 4000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_array_is_not_copied_before_it_is_stored(layout: str) -> None:
    array = LAYOUTS[layout]
    addresses = {buffer.address for buffer in array.buffers() if buffer is not None}
    found = {buffer.address for buffer in rebuilt(array).buffers() if buffer is not None}
    copied = {"run-end encoded": 0, "dense union": 1}.get(layout, 0)
    assert len(found - addresses) <= copied


def test_tables_and_batches_are_cut(arena: Arena) -> None:
    table = pa.table({name: array for name, array in LAYOUTS.items() if len(array) == ROWS})
    part = table.slice(11_111, 10)
    found, size = put(arena, part)
    assert found.equals(part)
    assert found.schema.equals(part.schema, check_metadata=True)
    assert size < 30_000
    batch = part.to_batches()[0]
    found, size = put(arena, batch)
    assert found.equals(batch)
    assert size < 30_000


def test_what_comes_back_lies_in_the_arena(arena: Arena) -> None:
    ref = store.put(arena, NUMBERS.slice(5003, 10_000))
    first, second = store.get_one(arena, ref), store.get_one(arena, ref)
    assert store.describe(arena, ref)["views"] > 0
    np.testing.assert_array_equal(first.to_numpy(), second.to_numpy())
    assert not first.to_numpy().flags.writeable


def test_slices_of_one_array_store_it_once(arena: Arena) -> None:
    parts = [NUMBERS.slice(n * 200, 200) for n in range(100)]
    found, size = put(arena, parts)
    assert [part.to_pylist() for part in found] == [part.to_pylist() for part in parts]
    assert size < NUMBERS.nbytes + 40_000
    overlapping = [NUMBERS.slice(n) for n in range(100)]
    found, size = put(arena, overlapping)
    assert all(part.equals(other) for part, other in zip(found, overlapping, strict=True))
    assert size < NUMBERS.nbytes + 40_000
    words = [WORDS.slice(n) for n in range(100)]
    found, size = put(arena, words)
    assert all(part.equals(other) for part, other in zip(found, words, strict=True))
    assert size < WORDS.nbytes + 60_000


def test_strings_that_are_far_apart_are_gathered(arena: Arena) -> None:
    _, views, *data = LAYOUTS["string_view"].buffers()
    chosen = np.frombuffer(views, "i4").reshape(-1, 4)[[3, ROWS // 2, ROWS - 1]]
    words = pa.Array.from_buffers(pa.string_view(), 3, [None, pa.py_buffer(chosen.copy()), *data])
    found, size = put(arena, words)
    assert found.to_pylist() == [WORDS[n].as_py() for n in (3, ROWS // 2, ROWS - 1)]
    found.validate(full=True)
    assert size < 1500


def test_a_dictionary_stays_whole(arena: Arena) -> None:
    array = LAYOUTS["dictionary"].slice(100, 1)
    found, _ = put(arena, array)
    assert found.dictionary.equals(array.dictionary)


def test_users_who_pickle_their_arrays_themselves_are_asked(arena: Arena) -> None:
    class Counted(pa.ExtensionArray):  # type: ignore[misc]  # pyarrow has no types
        def __reduce__(self) -> Any:
            return list, ([1, 2],)

    class Count(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.int64(), "tests.count")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        def __arrow_ext_class__(self) -> Any:
            return Counted

    found, _ = put(arena, pa.ExtensionArray.from_storage(Count(), NUMBERS.slice(0, 3)))
    assert found == [1, 2]
