"""Aggregations of users' own, of groups and of all rows."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import ray_async as ray
from ray_async.data.aggregate import AggregateFn, AggregateFnV2, Aggregation, VectorizedAggregateFnV2

pytestmark = pytest.mark.usefixtures("session")

ROWS = [{"k": number % 2, "v": None if number in (3, 5) else number} for number in range(6)]


def by_rows() -> Aggregation:
    return AggregateFn(
        init=lambda key: 0,
        accumulate_row=lambda state, row: state + (row["v"] or 0),
        merge=lambda one, other: one + other,
        finalize=lambda state: state * 10,
        name="total",
    )


def by_blocks() -> Aggregation:
    return AggregateFn(
        init=lambda key: 0,
        accumulate_block=lambda state, block: state + (pc.sum(block["v"]).as_py() or 0) * 10,
        merge=lambda one, other: one + other,
        name="total",
    )


class Total(AggregateFnV2):
    def __init__(self, *, ignore_nulls: bool = True) -> None:
        super().__init__("total", lambda: 0, on="v", ignore_nulls=ignore_nulls)

    def aggregate_block(self, block: pa.Table) -> int | None:
        found: int | None = pc.sum(block["v"]).as_py()
        return found

    def combine(self, current_accumulator: int, new: int | None) -> int:
        return current_accumulator + (new or 0)

    def finalize(self, accumulator: int) -> int:
        return accumulator * 10


class TotalOfColumn(VectorizedAggregateFnV2):
    def __init__(self) -> None:
        super().__init__("total", lambda: 0, on="v", ignore_nulls=True)

    def aggregate_block(self, block: pa.Table) -> int | None:
        found: int | None = pc.sum(block["v"]).as_py()
        return found

    def _combine_column(self, accumulator_col: pa.ChunkedArray) -> Any:
        return pc.sum(accumulator_col).as_py()

    def finalize(self, accumulator: int) -> int:
        return accumulator * 10


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("make", [by_rows, by_blocks, Total, TotalOfColumn])
def test_of_groups_and_of_all_rows(make: Callable[[], Aggregation], blocks: int) -> None:
    dataset = ray.data.from_items(ROWS, override_num_blocks=blocks)
    assert dataset.groupby("k").aggregate(make()).take_all() == [{"k": 0, "total": 60}, {"k": 1, "total": 10}]
    assert dataset.aggregate(make()) == {"total": 70}


def test_of_nulls_alone() -> None:
    nulls = ray.data.from_items([{"v": None}, {"v": None}])
    assert nulls.aggregate(Total()) == {"total": None} == nulls.aggregate(TotalOfColumn())
    assert nulls.aggregate(Total(ignore_nulls=False)) == {"total": 0}


def test_misuse() -> None:
    with pytest.raises(ValueError, match="one of"):
        AggregateFn(init=lambda key: 0, merge=max, name="none")
    with pytest.raises(TypeError, match="name"):
        AggregateFn(init=lambda key: 0, merge=max, name=3, accumulate_row=max)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="abstract"):
        VectorizedAggregateFnV2("total", lambda: 0, on="v")  # type: ignore[abstract]
    with pytest.raises(NotImplementedError, match="TotalOfColumn"):
        TotalOfColumn().combine(1, 2)
    with pytest.raises(ray.data.UnknownColumnError, match="v"):
        ray.data.range(3).aggregate(Total())
