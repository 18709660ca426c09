"""The Data demonstration's pipelines, with a model of the test's own in the place of scikit-learn's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import ray_async as ray
from examples.data_pipelines import clean, run_pictures, run_texts


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """A node with two CPUs."""
    ray.init(num_cpus=2, log_to_driver=False, preload=["pyarrow"])
    yield
    ray.shutdown()


class Lengths:
    """Embeds a text as its length; the topics are short and long."""

    topics = np.array(["short", "long"], dtype=object)

    @property
    def embedding(self) -> Any:
        return self

    @property
    def clusters(self) -> Any:
        return Distances()

    def transform(self, values: Any) -> Any:
        return np.array([[float(len(value))] for value in values])


class Distances:
    def transform(self, values: Any) -> Any:
        return np.hstack([np.abs(values - 10), np.abs(values - 100)])


class Brightness:
    """Tells a digit from how bright its picture is."""

    def predict(self, pixels: Any) -> Any:
        return np.rint(pixels.mean(1) * 9).astype(np.int64)


@pytest.mark.usefixtures("session")
def test_texts_are_cleaned_embedded_and_written_by_topic(tmp_path: Path) -> None:
    texts = ["one `two`  three\n four", "too short", " ".join(["word"] * 30)]
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": texts}), tmp_path / "in" / "a.parquet")
    dataset = run_texts(tmp_path / "in", tmp_path / "out", Lengths())
    found = ray.data.read_parquet(str(tmp_path / "out")).sort("words").take_all()
    assert [(row["text"], row["topic"]) for row in found] == [("one two three four", "short"), (texts[2], "long")]
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["topic=long", "topic=short"]
    assert dataset.timeline() and "MapBatches(Topics)" in dataset.stats()


@pytest.mark.usefixtures("session")
def test_pictures_are_told_and_counted(tmp_path: Path) -> None:
    for number, (label, grey) in enumerate(((0, 0), (9, 255), (9, 0))):
        Image.fromarray(np.full((8, 8), grey, np.uint8)).save(tmp_path / f"{number}-{label}.png")
    groups = run_pictures(tmp_path, Brightness()).take_all()
    assert groups == [{"digit": 0, "pictures": 1, "right": 1.0}, {"digit": 9, "pictures": 2, "right": 0.5}]


def test_cleaning_keeps_the_rows() -> None:
    batch = {"text": ["a  b", "`c`"]}
    assert clean(batch) == {"text": ["a b", "c"], "words": [2, 1]}
