"""Batches of torch: private copies, and loader processes that share the rows."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ray_async as ray

torch = pytest.importorskip("torch")
data = pytest.importorskip("torch.utils.data")

pytestmark = pytest.mark.usefixtures("session")


class Rows(data.IterableDataset):  # type: ignore[misc]
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[int]:
        for row in self.dataset.iter_rows():
            yield row["id"]


def same(row: dict[str, Any]) -> dict[str, Any]:
    return row


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("blocks", [1, 6])
def test_each_row_once_whatever_the_loader_processes(workers: int, persistent: bool, blocks: int) -> None:
    rows = Rows(ray.data.range(10, override_num_blocks=blocks))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of more processes than CPUs
        loader = data.DataLoader(
            rows, batch_size=None, num_workers=workers, persistent_workers=persistent and workers > 0
        )
        for _ in range(2):
            assert sorted(loader) == list(range(10))
        iterator = iter(loader)
        next(iterator)
        del iterator, loader


def test_functions_run_for_loader_processes_too() -> None:
    loader = data.DataLoader(Rows(ray.data.range(10).map(same)), batch_size=None, num_workers=1)
    assert sorted(loader) == list(range(10))


def test_tensors_may_be_changed() -> None:
    dataset = ray.data.range(1000).map_batches(lambda batch: {"x": batch["id"] * 1.0}).materialize()
    for batch in dataset.iter_torch_batches():
        batch["x"] += 1
    total = sum(float(batch["x"].sum()) for batch in dataset.iter_torch_batches())
    assert total == sum(range(1000))


def test_kept_tensors_outlive_the_dataset() -> None:
    dataset = ray.data.range(100000).map_batches(lambda batch: {"x": batch["id"]}).materialize()
    kept = [batch["x"] for batch in dataset.iter_torch_batches(batch_size=None)]
    arrays = [batch["x"] for batch in dataset.iter_batches(batch_size=None)]
    del dataset
    others = [ray.put(np.full(1 << 20, number)) for number in range(20)]
    assert torch.cat(kept).tolist() == np.concatenate(arrays).tolist() == list(range(100000)) and others
