"""Random Arrow arrays of every layout, each a slice of a longer one, at every depth."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from random import Random
from typing import Any

import pyarrow as pa

__all__ = ("random_array",)

Maker = Callable[[Random, int, int], Any]


def text(random: Random) -> str:
    return "".join(random.choices("abcé", k=random.choice((0, 2, 12, 13, 30))))


def number(random: Random) -> int:
    return random.randint(-100, 100)


LEAVES: list[tuple[Any, Callable[[Random], Any]]] = [
    (pa.null(), lambda random: None),
    (pa.bool_(), lambda random: random.random() < 0.5),
    (pa.int8(), number),
    (pa.uint16(), lambda random: random.randint(0, 1000)),
    (pa.int64(), number),
    (pa.float32(), lambda random: number(random) / 4),
    (pa.float64(), Random.random),
    (pa.string(), text),
    (pa.large_string(), text),
    (pa.string_view(), text),
    (pa.binary(), lambda random: text(random).encode()),
    (pa.large_binary(), lambda random: text(random).encode()),
    (pa.binary_view(), lambda random: text(random).encode()),
    (pa.binary(3), lambda random: random.randbytes(3)),
    (pa.decimal128(9, 2), lambda random: decimal.Decimal(number(random)) / 4),
    (pa.date32(), lambda random: datetime.date(2020, 1, random.randint(1, 31))),
    (pa.timestamp("us", "UTC"), lambda random: datetime.datetime(2020, 1, random.randint(1, 31), tzinfo=datetime.UTC)),
    (pa.duration("ms"), lambda random: datetime.timedelta(seconds=number(random))),
]


class Marked(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
    """A type of a user's own."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage, "tests.marked")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, serialized: bytes) -> Marked:
        return cls(storage)


def random_array(random: Random, length: int, depth: int = 2) -> Any:
    """A slice of an array that is somewhat longer, with children that are slices too, down to some depth."""
    before, after = random.randint(0, 20), random.randint(0, 20)
    make: Maker = random.choice(MAKERS) if depth else make_leaf
    return make(random, before + length + after, depth - 1).slice(before, length)


def make_leaf(random: Random, length: int, depth: int) -> Any:
    kind, item = random.choice(LEAVES)
    missing = random.choice((0, 0.3))
    return pa.array([None if random.random() < missing else item(random) for _ in range(length)], kind)


def make_dictionary(random: Random, length: int, depth: int) -> Any:
    words = pa.array(["a", "b", "a longer word than that", "d"]).slice(1)
    return pa.DictionaryArray.from_arrays(pa.array(random.choices((None, 0, 1, 2), k=length), pa.int16()), words)


def make_list(random: Random, length: int, depth: int) -> Any:
    sizes = random.choices(range(4), k=length)
    ends: list[int | None] = [sum(sizes[:n]) for n in range(length + 1)]
    for n in range(length):
        if sizes[n] == 0 and random.random() < 0.5:
            ends[n] = None  # a list that is null
    kind, make = random.choice(((pa.int64(), pa.LargeListArray), (pa.int32(), pa.ListArray)))
    return make.from_arrays(pa.array(ends, kind), random_array(random, sum(sizes), depth))


def make_list_view(random: Random, length: int, depth: int) -> Any:
    child = random_array(random, random.randint(4, 30), depth)
    sizes = random.choices(range(4), k=length)
    starts = [random.randint(0, len(child) - size) for size in sizes]
    kind, make = random.choice(((pa.int64(), pa.LargeListViewArray), (pa.int32(), pa.ListViewArray)))
    return make.from_arrays(pa.array(starts, kind), pa.array(sizes, kind), child)


def make_fixed_list(random: Random, length: int, depth: int) -> Any:
    return pa.FixedSizeListArray.from_arrays(random_array(random, 3 * length, depth), 3)


def make_map(random: Random, length: int, depth: int) -> Any:
    sizes = random.choices(range(3), k=length)
    keys = pa.array([f"key {n}" for n in range(sum(sizes))], pa.string())
    ends = pa.array([sum(sizes[:n]) for n in range(length + 1)], pa.int32())
    return pa.MapArray.from_arrays(ends, keys, random_array(random, sum(sizes), depth))


def make_struct(random: Random, length: int, depth: int) -> Any:
    mask = pa.array(random.choices((True, False), k=length), pa.bool_())
    fields = [random_array(random, length, depth) for _ in range(2)]
    return pa.StructArray.from_arrays(fields, ["x", "y"], mask=mask)


def make_union(random: Random, length: int, depth: int) -> Any:
    codes = random.choices(range(2), k=length)
    kinds = pa.array(codes, pa.int8())
    if random.random() < 0.5:
        return pa.UnionArray.from_sparse(kinds, [random_array(random, length, depth) for _ in range(2)])
    places = pa.array([codes[:n].count(code) for n, code in enumerate(codes)], pa.int32())
    children = [random_array(random, codes.count(code), depth) for code in range(2)]
    return pa.UnionArray.from_dense(kinds, places, children)


def make_runs(random: Random, length: int, depth: int) -> Any:
    ends = sorted({length, *random.sample(range(1, length + 1), min(length, 5))} - {0})
    values = random_array(random, len(ends), 0)
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, random.choice((pa.int16(), pa.int64()))), values)


def make_extension(random: Random, length: int, depth: int) -> Any:
    storage = random_array(random, length, 0)
    while storage.type in (pa.string_view(), pa.binary_view()):  # pyarrow 26 aborts when it validates such extensions
        storage = random_array(random, length, 0)
    return pa.ExtensionArray.from_storage(Marked(storage.type), storage)


MAKERS: list[Maker] = [
    make_leaf,
    make_dictionary,
    make_list,
    make_list_view,
    make_fixed_list,
    make_map,
    make_struct,
    make_union,
    make_runs,
    make_extension,
]
