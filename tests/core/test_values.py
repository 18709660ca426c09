"""Every kind of value through the store and back."""

from __future__ import annotations

import datetime
import enum
import fractions
import math
import pickle
import threading
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.object_ref import ObjectRef
from ray_async.serialization import registry as serializers
from ray_async.serialization.pickling import dumps

Point = namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 1


@dataclass
class Box:
    """A plain class of the user's."""

    inside: Any


class SubList(list[Any]):
    """A subclass of a builtin must come back as itself."""


def trip(arena: Arena, value: Any) -> Any:
    """Put a value and get it."""
    return store.get_one(arena, store.put(arena, value))


PLAIN: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    127,
    128,
    -128,
    -129,
    2**31,
    -(2**63),
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**400,
    0.0,
    -0.0,
    1.5,
    math.inf,
    -math.inf,
    5e-324,
    1 + 2j,
    "",
    "a",
    "ä€😀",
    "\ud800",
    "x\udfff\0y",
    "\0",
    "é" * 5000,
    "y" * 100_000,
    b"",
    b"\0\xff",
    bytes(range(256)) * 1000,
    (),
    (1,),
    [],
    [1],
    {},
    {1: 2},
    {"a": [1, 2]},
    [[]],
    [(1, "a", None, 2.5, b"z")],
    (1, (2, (3, (4, (5, (6, (7, (8, (9,))))))))),
    {(1, 2): (3, [4])},
    [True, 1, 1.0],
    {True: "t"},
    set(),
    {1, 2},
    frozenset({3}),
    bytearray(b"abc"),
    bytearray(1 << 17),
    range(3),
    slice(1, 2),
    Ellipsis,
    NotImplemented,
    Point(1, 2),
    Colour.RED,
    SubList([1]),
    OrderedDict(a=1),
    Box(Box([1])),
    datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
    fractions.Fraction(1, 3),
    int,
    Box,
    len,
    {"a" * 300: list(range(1000))},
    list(range(10_000)),
    [f"item {i}" for i in range(3000)],
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda v: repr(v)[:30].encode("ascii", "backslashreplace").decode())
def test_plain_values_come_back_as_they_were(arena: Arena, value: Any) -> None:
    found = trip(arena, value)
    assert type(found) is type(value)
    assert found == value
    assert repr(found) == repr(value)  # signs of zeros, types of items


def test_nan_and_strings_that_are_not_unicode(arena: Arena) -> None:
    assert math.isnan(trip(arena, math.nan))
    assert trip(arena, ["\ud800", {"\udcff": 1}]) == ["\ud800", {"\udcff": 1}]


nestings = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers() | st.booleans(), inner)
    ),
    max_leaves=40,
)


def test_any_nesting_of_builtins(arena: Arena) -> None:
    @given(nestings)
    @settings(max_examples=150, deadline=None)
    def comes_back(value: Any) -> None:
        assert repr(trip(arena, value)) == repr(value)

    comes_back()


def test_sharing_and_cycles_survive(arena: Arena) -> None:
    inner: list[Any] = [1]
    assert (lambda v: v[0] is v[1])(trip(arena, [inner, inner]))
    assert (lambda v: v["a"] is v["b"])(trip(arena, {"a": inner, "b": inner}))
    assert (lambda v: v[0] is v[1])(trip(arena, (inner, inner)))
    inner.append(inner)
    found = trip(arena, inner)
    assert found[1] is found
    circle: dict[str, Any] = {}
    circle["self"] = (circle,)
    assert (lambda v: v["self"][0] is v)(trip(arena, circle))
    box = Box(None)
    box.inside = box
    assert (lambda v: v.inside is v)(trip(arena, box))


def test_one_value_leaves_nothing_in_the_next(arena: Arena) -> None:
    shared = Box([1])
    assert trip(arena, {1: shared, "k": {2}}) == {1: shared, "k": {2}}
    assert trip(arena, [shared, shared]) == [shared, shared]
    with pytest.raises(TypeError):
        store.put(arena, [shared, threading.Lock()])
    assert trip(arena, [shared, {3}]) == [shared, {3}]


ARRAYS = [
    np.array(5),
    np.array(5.5, dtype=np.float32),
    np.empty(0),
    np.empty((0, 3)),
    np.empty((3, 0, 2), dtype="i2"),
    np.arange(1),
    np.arange(12).reshape(3, 4),
    np.asfortranarray(np.arange(12).reshape(3, 4)),
    np.arange(20)[::2],
    np.arange(12).reshape(3, 4).T,
    np.arange(10)[::-1],
    np.zeros(3, dtype=[("a", "i4"), ("b", "f8", (2,))]),
    np.array(["a", "bcd"]),
    np.array([b"x", b"yz"]),
    np.array(["2024-01-01"], dtype="M8[D]"),
    np.array([True, False]),
    np.arange(4, dtype=">i4"),
    np.ones(3, dtype=np.complex128),
    np.float64(2.5),
    np.int8(3),
    np.arange(1 << 17),
    np.ma.array([1, 2], mask=[False, True]),
    np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{np.shape(a)}"[:40])
def test_arrays(arena: Arena, array: Any) -> None:
    found = trip(arena, array)
    assert type(found) is type(array)
    assert found.dtype == array.dtype
    assert np.shape(found) == np.shape(array)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "size", [1, 7, 8, 63, 64, 65, 500, 2000, 2048, 4090, 16_000, 16_384, 16_500, 32_700, 32_768, 65_536, 1_000_000]
)
def test_arrays_of_all_sizes_are_read_only_and_each_readers_own(arena: Arena, size: int) -> None:
    array = np.random.default_rng(size).integers(0, 255, size, dtype=np.uint8)
    ref = store.put(arena, array)
    first, second = store.get_one(arena, ref), store.get_one(arena, ref)
    np.testing.assert_array_equal(first, array)
    assert not first.flags.writeable
    assert not np.shares_memory(first, second)
    assert store.describe(arena, ref)["views"] == (2 if size > 32_500 else 0), "small ones are copied"
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1
    assert first.ctypes.data % 64 == 0


def test_object_arrays_and_arrays_in_containers(arena: Arena) -> None:
    found = trip(arena, np.array([None, {"a": 1}, "x"], dtype=object))
    assert found.tolist() == [None, {"a": 1}, "x"]
    parts = trip(arena, {"a": np.arange(100), "b": [np.ones(5), (np.zeros(3),)]})
    assert parts["a"].sum() == 4950
    assert parts["b"][1][0].tolist() == [0, 0, 0]


def test_fortran_order_is_kept(arena: Arena) -> None:
    assert trip(arena, np.asfortranarray(np.ones((3, 4)))).flags.f_contiguous


def test_tables_and_frames(arena: Arena) -> None:
    table = pa.table({"n": list(range(3000)), "s": [f"row {i}" for i in range(3000)], "l": [[i] for i in range(3000)]})
    ref = store.put(arena, table)
    found = store.get_one(arena, ref)
    assert found.equals(table)
    assert store.describe(arena, ref)["views"] > 0  # the columns are views of the arena
    assert trip(arena, table.slice(10, 5)).equals(table.slice(10, 5))
    assert trip(arena, pa.table({})).equals(pa.table({}))
    frame = pd.DataFrame({"a": range(50), "b": [f"x{i}" for i in range(50)], "c": pd.Categorical(["u", "v"] * 25)})
    pd.testing.assert_frame_equal(trip(arena, frame), frame)
    pd.testing.assert_series_equal(trip(arena, frame["a"]), frame["a"])


def test_web_applications(arena: Arena) -> None:
    application = Starlette()
    application.state.limit = 5
    assert trip(arena, application).state.limit == 5
    assert pickle.loads(dumps(application)).state.limit == 5


def test_memoryviews(arena: Arena) -> None:
    found = trip(arena, memoryview(b"abc"))
    assert isinstance(found, memoryview)
    assert bytes(found) == b"abc"
    assert found.readonly
    assert trip(arena, np.arange(6.0).reshape(2, 3).data).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert trip(arena, np.array(7).data).tolist() == 7
    assert trip(arena, memoryview(b"")).tolist() == []
    assert trip(arena, np.empty((0, 4)).data).nbytes == 0
    assert bytes(trip(arena, memoryview(b"abcdef")[::2])) == b"ace"


def test_functions_and_local_classes_go_by_value(arena: Arena) -> None:
    offset = 10

    class Local:
        def method(self) -> int:
            return offset

    assert trip(arena, lambda x: x + offset)(1) == 11
    assert trip(arena, Local)().method() == 10
    assert trip(arena, Local()).method() == 10


def test_functions_pickled_one_after_the_other_share_no_globals(arena: Arena) -> None:
    space: dict[str, Any] = {"__name__": "__main__", "n": 1}
    exec("def f(): return n", space)
    first = store.put(arena, space["f"])
    space["n"] = 2
    second = store.put(arena, space["f"])
    assert (store.get_one(arena, first)(), store.get_one(arena, second)()) == (1, 2)


def test_exceptions(arena: Arena) -> None:
    error = ValueError("bad", 3)
    error.add_note("note")
    found = trip(arena, error)
    assert found.args == ("bad", 3)
    assert found.__notes__ == ["note"]


def test_references_inside_values(arena: Arena) -> None:
    inner = store.put(arena, "inner")
    for value in (inner, [inner], {"k": (inner, 1)}, Box(inner), [inner, inner], {1, 2, inner}):
        ref = store.put(arena, value)
        found = store.get_one(arena, ref)
        assert found == value
        assert store.get_one(arena, next(r for r in flatten(found) if isinstance(r, ObjectRef))) == "inner"
        del found, ref
    assert store.describe(arena, inner)["references"] == 1


def flatten(value: Any) -> list[Any]:
    """All leaves of a value."""
    if isinstance(value, Box):
        return flatten(value.inside)
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flatten(item)]
    if isinstance(value, list | tuple | set):
        return [leaf for item in value for leaf in flatten(item)]
    return [value]


def test_registered_serializers(arena: Arena) -> None:
    class Handle:
        def __init__(self, number: int) -> None:
            self.number, self.lock = number, threading.Lock()

    serializers.register(Handle, lambda handle: handle.number, Handle)
    try:
        assert trip(arena, [Handle(3)])[0].number == 3
    finally:
        serializers.deregister(Handle)
    with pytest.raises(TypeError, match=r"\[0\]\.lock"):
        store.put(arena, [Handle(3)])


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda lock: lock, "lock"),
        (lambda lock: Box(lock), r"Box\.inside"),
        (lambda lock: {"a": [1, Box(lock)]}, r"dict\['a'\]\[1\]\.inside"),
        (lambda lock: lambda: lock, "captured variable 'lock'"),
        (lambda lock: ValueError(lock), r"ValueError\.args\[0\]"),
    ],
)
def test_the_part_that_cannot_be_pickled_is_named(arena: Arena, make: Any, where: str) -> None:
    used = arena.used
    for _ in range(3):
        with pytest.raises(TypeError, match=where):
            store.put(arena, make(threading.Lock()))
    assert arena.used == used


def test_an_error_of_the_users_own_is_passed_on(arena: Arena) -> None:
    class Stubborn:
        def __reduce__(self) -> Any:
            raise KeyError("my own")

    with pytest.raises(KeyError, match="my own"):
        store.put(arena, Stubborn())


def test_an_interrupt_while_pickling_leaves_a_usable_pickler(arena: Arena) -> None:
    kept = Box([1])

    class Interrupting:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put(arena, [kept, Interrupting()])
    assert trip(arena, {1: kept, 2: {3}}) == {1: kept, 2: {3}}


def test_a_reducer_may_put(arena: Arena) -> None:
    class Outer:
        def __reduce__(self) -> Any:
            return list, (store.get_one(arena, store.put(arena, [{1}, {2}])),)

    assert trip(arena, [Outer(), {5}]) == [[{1}, {2}], {5}]


def test_values_put_by_several_threads_at_once(arena: Arena) -> None:
    wrong: list[Any] = []

    def work(seed: int) -> None:
        for i in range(200):
            value = [seed, {i}, np.full(2000, seed), "x" * i]
            found = trip(arena, value)
            if found[0] != seed or found[1] != {i} or int(found[2].sum()) != 2000 * seed:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
