"""Two pipelines on real data, with live bars, statistics and a timeline.

python -m examples.data_pipelines [FOLDER [TIMELINE]]

Texts: the docstrings of the standard library are read from Parquet, cleaned, embedded by a model in a pool of actors,
written to Parquet with a folder for each topic, and grouped. Pictures: the handwritten digits that scikit-learn ships
are read as PNG files and told by a small network in another pool.
"""

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs as pafs

import ray_async as ray
from examples.data_demo import docstrings, write
from examples.data_models import Digits, Topics, fit_digits, fit_texts
from ray_async.data.aggregate import Count, Mean
from ray_async.data.expressions import col

__all__ = ("main", "run_pictures", "run_texts", "write_pictures")


def clean(batch: Any) -> Any:
    """The batch of pandas with texts in one line of plain words."""
    batch["text"] = [" ".join(text.replace("`", " ").split()) for text in batch["text"]]
    batch["words"] = [len(text.split()) for text in batch["text"]]
    return batch


def run_texts(source: Path, target: Path, model: Any) -> Any:
    """Read, clean, embed, write by topic; gives the dataset that was written."""
    texts = ray.data.read_parquet(str(source)).map_batches(clean, batch_format="pandas")
    texts = texts.filter(lambda row: row["words"] >= 4)
    embedded = texts.map_batches(Topics, fn_constructor_args=(model,), batch_size=1024, concurrency=2)
    embedded.set_name("texts")
    embedded.write_parquet(str(target), partition_cols=["topic"])
    return embedded


def run_pictures(source: Path, network: Any) -> Any:
    """Read, tell, and count by digit; gives the groups."""
    pictures = ray.data.read_images(str(source), mode="L", include_paths=True, override_num_blocks=8)
    seen = pictures.map_batches(Digits, fn_constructor_args=(network,), batch_size=128, concurrency=2)
    groups = seen.groupby("digit").aggregate(Count(alias_name="pictures"), Mean("right", alias_name="right"))
    groups.set_name("pictures")
    return groups.materialize()


def write_pictures(folder: Path) -> tuple[Any, Any]:
    """Write scikit-learn's digits as files `<number>-<label>.png`; gives others to learn from, with their labels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = (digits.images * 255 / 16).astype(np.uint8)
    folder.mkdir()
    for number, (picture, label) in enumerate(zip(pictures[900:], digits.target[900:], strict=True)):
        Image.fromarray(picture).save(folder / f"{number:04d}-{label}.png")
    return pictures[:900], digits.target[:900]


def main(folder: Path, timeline: Path) -> None:
    """Run both, and tell what came of it."""
    texts = docstrings()
    source = folder / "texts"
    source.mkdir()
    write(texts, pafs.LocalFileSystem(), str(source))
    learned, labels = write_pictures(folder / "pictures")
    print(
        f"{texts.num_rows:,} docstrings of the standard library, {len(list((folder / 'pictures').iterdir()))} pictures"
    )
    model = fit_texts(texts.column("text").to_pylist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the network is told to stop before it has converged
        network = fit_digits(learned, labels)

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    embedded = run_texts(source, folder / "topics", model)
    print(embedded.stats())
    embedded.timeline(timeline)
    topics = ray.data.read_parquet(str(folder / "topics")).groupby("topic")
    found = topics.aggregate(Count(alias_name="texts"), Mean("words", alias_name="words"), Mean("nearness"))
    print(f"\n{'topic':<28}{'texts':>8}{'words':>8}{'nearness':>10}")
    for row in found.sort("texts", descending=True).take_all():
        print(f"{row['topic']:<28}{row['texts']:>8,}{row['words']:>8.1f}{row['mean(nearness)']:>10.2f}")
    pictures = run_pictures(folder / "pictures", network)
    print(f"\n{pictures.stats()}")
    right = pictures.with_column("hits", col("right") * col("pictures"))
    print(f"\n{100 * right.sum('hits') / right.sum('pictures'):.1f}% of the digits are told right")
    ray.shutdown()
    print(f"the timeline of the texts is in {timeline}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(
            Path(sys.argv[1] if len(sys.argv) > 1 else scratch),
            Path(sys.argv[2] if len(sys.argv) > 2 else "data-timeline.png"),
        )
