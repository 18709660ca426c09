"""Frames of other libraries, to and from."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray

# Dask and datasets start threads with their first work, once for the process; they are no test's leak.
pytestmark = pytest.mark.keeps_resources
ROWS = [{"a": 1, "s": "x"}, {"a": 2, "s": "y"}, {"a": 3, "s": None}]


class TestDask:
    def test_there_and_back(self) -> None:
        import dask.dataframe as frames

        frame = ray.data.from_items(ROWS, override_num_blocks=3).to_dask()
        assert frame.npartitions == 3 and frame["a"].sum().compute(scheduler="sync") == 6
        other = frames.from_pandas(pd.DataFrame({"a": [1, 2, 3, 4]}), npartitions=2)
        dataset = ray.data.from_dask(other[other["a"] > 1])
        assert dataset.take_all() == [{"a": 2}, {"a": 3}, {"a": 4}] and dataset.num_blocks() == 2
        with pytest.raises(TypeError, match="dask"):
            ray.data.from_dask(pd.DataFrame({"a": [1]}))


class Spark:
    """What the API uses of a session of Spark and of its frames."""

    def createDataFrame(self, frame: pd.DataFrame) -> Any:
        return type("DataFrame", (), {"toArrow": lambda self: pa.Table.from_pandas(frame), "toPandas": None})()


class Older:
    """A frame of Spark before 4, of Modin, Mars or Daft, as far as the API uses it."""

    def toPandas(self) -> pd.DataFrame:
        return pd.DataFrame({"a": [1, 2]})

    _to_pandas = to_pandas = toPandas

    def to_arrow(self) -> pa.Table:
        return pa.table({"a": [1, 2]})


def test_frames_of_others() -> None:
    frame = ray.data.from_items(ROWS).to_spark(Spark())
    assert [row["a"] for row in ray.data.from_spark(frame, override_num_blocks=2).take_all()] == [1, 2, 3]
    for name in ("spark", "modin", "mars", "daft"):
        read = getattr(ray.data, f"from_{name}")
        assert read(Older()).take_all() == [{"a": 1}, {"a": 2}]
        with pytest.raises(TypeError, match=name):
            read([1])


@pytest.mark.parametrize("name", ["dask", "modin", "mars", "daft"])
def test_a_library_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray_async.data.sources.optional.find_spec", lambda module: None)
    with pytest.raises(ImportError, match="which is not installed: pip install"):
        getattr(ray.data.from_items(ROWS), f"to_{name}")()


class TestTorch:
    def test_items(self) -> None:
        class Squares:
            def __len__(self) -> int:
                return 3

            def __getitem__(self, index: int) -> int:
                return index * index

        assert ray.data.from_torch(Squares()).take_all() == [{"item": 0}, {"item": 1}, {"item": 4}]
        pairs = ray.data.from_torch([(np.zeros((2, 2)), 1), (np.ones((2, 2)), 0)])
        array, label = pairs.take_all()[1]["item"]
        assert array.sum() == 4 and label == 0


class TestHuggingFace:
    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        import datasets

        datasets.disable_progress_bars()
        return datasets

    def test_a_dataset_after_its_selections(self, offline: Any) -> None:
        whole = offline.Dataset.from_list(ROWS)
        dataset = ray.data.from_huggingface(whole.filter(lambda row: row["a"] > 1).select([1, 0]))
        assert dataset.take_all() == [{"a": 3, "s": None}, {"a": 2, "s": "y"}]
        assert ray.data.from_huggingface(whole, override_num_blocks=3).num_blocks() == 3
        with pytest.raises(TypeError, match="splits"):
            ray.data.from_huggingface(offline.DatasetDict({"train": whole}))

    @pytest.mark.usefixtures("session")
    def test_a_streamed_one_is_read_by_its_shards(self, offline: Any) -> None:
        streamed = offline.Dataset.from_list([{"a": i} for i in range(10)]).to_iterable_dataset(num_shards=3)
        dataset = ray.data.from_huggingface(streamed.map(lambda row: {"b": 2 * row["a"]}))
        assert dataset.take_all() == [{"a": i, "b": 2 * i} for i in range(10)]
        assert ray.data.from_huggingface(streamed).columns() == ["a"]
