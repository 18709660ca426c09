"""NumPy arrays of every kind: value, type, and room in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ray_async._core import store
from ray_async._core.arena import Arena
from tests.serialization.store_memory import in_store

COUNT = 30_000
NUMBERS = np.arange(COUNT)
OVERHEAD = 1500


def put(arena: Arena, value: Any) -> tuple[Any, Any, int]:
    """The value as two readers get it, and the bytes that it takes in the store."""
    ref = store.put(arena, value)
    return store.get_one(arena, ref), store.get_one(arena, ref), store.describe(arena, ref)["size"]


class Labelled(np.ndarray[Any, Any]):
    """The subclass of NumPy's own documentation: attributes that are handed on by views."""

    label: Any

    def __array_finalize__(self, parent: Any) -> None:
        self.label = getattr(parent, "label", None)


class Stubborn(np.ndarray[Any, Any]):
    """A subclass that says itself how it is pickled."""

    def __reduce__(self) -> Any:
        return make_stubborn, (self.tolist(),)


def make_stubborn(items: list[Any]) -> Any:
    return np.array(items).view(Stubborn)


VIEWS: dict[str, Any] = {
    "datetime64": NUMBERS.view("M8[ns]"),
    "timedelta64": NUMBERS.view("m8[25s]"),
    "datetime64 of the other order": NUMBERS.astype("M8[us]").astype(">M8[us]"),
    "structured with a date": np.zeros(COUNT, [("at", "M8[s]"), ("n", "f4")]),
    "recarray": np.rec.array(np.ones(COUNT, [("a", "i4"), ("b", "f8")])),
    "matrix": NUMBERS.reshape(300, 100).view(np.matrix),
    "subclass": NUMBERS.view(Labelled),
    "big-endian": NUMBERS.astype(">i4"),
    "Fortran order": np.asfortranarray(NUMBERS.reshape(300, 100).astype("M8[D]")),
    "permuted": NUMBERS.reshape(10, 30, 100).transpose(2, 0, 1),
    "reversed": NUMBERS[::-1],
    "every other": NUMBERS[::2],
    "every other of some columns": NUMBERS.reshape(300, 100)[::2, 5:95:3],
    "masked": np.ma.array(NUMBERS, mask=NUMBERS % 3 == 0, fill_value=-5),
    "masked dates": np.ma.array(NUMBERS.view("M8[s]"), mask=NUMBERS % 3 == 0),
    "masked without a mask": np.ma.array(NUMBERS),
    "unicode": np.array([f"{n:5}" for n in range(COUNT)]),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_arrays_come_back_as_views(arena: Arena, kind: str) -> None:
    array = VIEWS[kind]
    first, second, size = put(arena, array)
    assert type(first) is type(array)
    assert first.dtype == array.dtype
    assert first.shape == array.shape
    np.testing.assert_array_equal(first, array)
    assert in_store(first) and in_store(second)
    assert not first.flags.writeable
    assert size < array.nbytes + getattr(np.ma.getmask(array), "nbytes", 0) + OVERHEAD


def test_masked_arrays_keep_mask_and_fill_value(arena: Arena) -> None:
    array = np.ma.array(NUMBERS, mask=NUMBERS % 3 == 0, fill_value=-5, hard_mask=True)
    first, second, _ = put(arena, array)
    np.testing.assert_array_equal(first.mask, array.mask)
    assert first.filled().tolist() == array.filled().tolist()
    assert first.hardmask
    assert in_store(first.mask) and in_store(second.mask)
    plain, _, _ = put(arena, np.ma.array([1, 2]))
    assert plain.mask is np.ma.nomask


def test_a_memory_map_comes_back_without_its_file(arena: Arena, tmp_path: Path) -> None:
    array = np.memmap(tmp_path / "numbers", "i8", "w+", shape=(COUNT,))
    array[:] = NUMBERS
    first, second, size = put(arena, array)
    assert type(first) is np.memmap
    assert first.filename is None
    np.testing.assert_array_equal(first, NUMBERS)
    assert in_store(first) and in_store(second)
    assert size < array.nbytes + OVERHEAD


def test_attributes_of_subclasses_come_along(arena: Arena) -> None:
    array = NUMBERS.view(Labelled)
    array.label = {"unit": "m"}
    assert put(arena, array)[0].label == {"unit": "m"}
    assert put(arena, NUMBERS.view(Labelled))[0].label is None


def test_a_subclass_that_pickles_itself_is_asked(arena: Arena) -> None:
    found, _, _ = put(arena, np.arange(4).view(Stubborn))
    assert type(found) is Stubborn
    assert found.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "array",
    [
        np.broadcast_to(NUMBERS[:10], (10_000, 10)),
        np.broadcast_to(NUMBERS[:10, None], (10, 10_000)),
        np.broadcast_to(NUMBERS[:20:2], (10_000, 10)),
        np.broadcast_to(np.array(7), (100, 1000)),
        np.lib.stride_tricks.sliding_window_view(NUMBERS[:100], 50),
    ],
    ids=["rows", "columns", "with gaps", "one item", "windows"],
)
def test_what_an_array_repeats_is_stored_once(arena: Arena, array: Any) -> None:
    found, _, size = put(arena, array)
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape
    assert size < 2500


def test_the_form_of_permuted_arrays_is_kept(arena: Arena) -> None:
    array = NUMBERS.reshape(10, 30, 100).transpose(2, 0, 1)
    assert put(arena, array)[0].strides == array.strides


@pytest.mark.parametrize(
    "array",
    [
        np.array([None, {"a": 1}], dtype=object),
        np.array(["a", "a longer one"], dtype=np.dtypes.StringDType()),
        np.zeros(2, [("o", object), ("n", int)]),
        np.empty((0, 3), "M8[s]"),
        np.array(3, "M8[D]"),
        np.zeros((2, 0, 2)).transpose(2, 0, 1),
        np.zeros(3, "V7"),
        np.zeros(3, "S0"),
        np.datetime64("NaT", "s"),
        np.longdouble(2),
        np.ones(3, np.clongdouble),
        np.ma.array([1.0, 2.0], mask=True),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_other_arrays_are_as_they_were(arena: Arena, array: Any) -> None:
    found = put(arena, array)[0]
    assert type(found) is type(array)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def test_memory_in_common_is_stored_once(arena: Arena) -> None:
    found, _, size = put(arena, {"a": NUMBERS, "again": NUMBERS, "view": NUMBERS[:], "part": NUMBERS[100:200]})
    assert found["a"] is found["again"]
    assert size < NUMBERS.nbytes + OVERHEAD
    assert np.shares_memory(found["a"], found["part"])
    np.testing.assert_array_equal(found["part"], NUMBERS[100:200])
    windows = [NUMBERS[n : n + 20_000] for n in range(0, 10_000, 100)]
    found, _, size = put(arena, windows)
    assert all(np.array_equal(window, other) for window, other in zip(windows, found, strict=True))
    assert size < NUMBERS.nbytes + 20_000


def test_neighbours_are_not_mixed_up(arena: Arena) -> None:
    random = np.random.default_rng(3)
    memory = random.integers(0, 255, 5000, dtype=np.uint8)
    for _ in range(50):
        bounds = np.sort(random.integers(0, 5000, (random.integers(1, 30), 2)), axis=1)
        parts = [memory[low:high] for low, high in bounds]
        found, _, size = put(arena, parts)
        assert [part.tobytes() for part in found] == [part.tobytes() for part in parts]
        assert size < 5000 + 100 * len(parts) + 600
        assert all(part.ctypes.data % 64 == 0 for part in put(arena, [part.copy() for part in parts])[0] if len(part))


DAYS = pd.date_range("2020", periods=COUNT, freq="s")
FRAME = pd.DataFrame(
    {
        "zone": DAYS.tz_localize("Europe/Berlin"),
        "plain": DAYS,
        "span": pd.to_timedelta(NUMBERS, unit="s"),
        "period": pd.period_range("2020", periods=COUNT, freq="s"),
    },
    index=DAYS,
)


@pytest.mark.parametrize(
    "value",
    [FRAME, FRAME["zone"], FRAME["plain"], DAYS, pd.TimedeltaIndex(FRAME["span"]), pd.PeriodIndex(FRAME["period"])],
    ids=["frame", "zone", "plain", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex"],
)
def test_dates_of_pandas_are_views(arena: Arena, value: Any) -> None:
    first, second, size = put(arena, value)
    assert type(first) is type(value)
    assert first.equals(value)
    columns = 5 if value is FRAME else 2 if isinstance(value, pd.Series) else 1
    assert size < columns * NUMBERS.nbytes + 4000
    index, other = (first, second) if isinstance(value, pd.Index) else (first.index, second.index)
    assert index.freq == (value if isinstance(value, pd.Index) else value.index).freq
    assert in_store(index.asi8) and in_store(other.asi8)
    if value is FRAME:
        pd.testing.assert_frame_equal(first, value)
        for name in value.columns:
            assert in_store(first[name].array.asi8) and in_store(second[name].array.asi8)
