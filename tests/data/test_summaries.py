"""Summaries of all columns."""

import datetime

import pytest

import ray_async as ray
from ray_async.data.aggregate import CountDistinct, Max
from ray_async.data.datatype import DataType


def test_statistics_by_type() -> None:
    day = datetime.datetime(2024, 1, 1)
    rows = [{"n": n, "s": s, "t": day} for n, s in [(0, "a"), (2, "b"), (None, "a"), (4, None)]]
    found = ray.data.from_items(rows).summary()
    numbers = dict(found.get_column_stats("n").itertuples(index=False))
    assert numbers.pop("std") == pytest.approx((8 / 3) ** 0.5)
    assert numbers == {
        "count": 4,
        "mean": 2.0,
        "min": 0,
        "max": 4,
        "approx_quantile[0]": 2.0,
        "missing_pct": 25.0,
        "zero_pct": pytest.approx(100 / 3),
    }
    texts = dict(found.get_column_stats("s").itertuples(index=False))
    assert texts["approx_topk[0]"] == {"s": "a", "count": 2} and texts["missing_pct"] == 25.0
    assert dict(found.get_column_stats("t").itertuples(index=False)) == {
        "count": 4,
        "min": day,
        "max": day,
        "missing_pct": 0.0,
    }
    frame = found.to_pandas()
    assert list(frame.columns) == ["statistic", "n", "s", "t"] and found.dataset_schema.names == ["n", "s", "t"]
    assert frame.set_index("statistic").loc["count", "s"] == 4


def test_chosen_columns_and_aggregations() -> None:
    dataset = ray.data.range(10).with_column("x", ray.data.expressions.col("id") % 3)
    own = {DataType.int64(): lambda name: [CountDistinct(name), Max(name)]}
    found = dataset.summary(["x"], own)
    assert found.columns == ["x"]
    assert dict(found.get_column_stats("x").itertuples(index=False)) == {"count_distinct": 3, "max": 2}
    with pytest.raises(KeyError, match="'id'"):
        found.get_column_stats("id")
    with pytest.raises(KeyError, match="'zz'"):
        dataset.summary(["zz"])
    with pytest.raises(ValueError, match="without columns"):
        ray.data.from_items([]).summary()
