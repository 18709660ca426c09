"""Batches for training frameworks, and their own datasets."""

from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.data import UnknownColumnError
from ray_async.data.collate_fn import ArrowBatchCollateFn, PandasBatchCollateFn
from ray_async.data.iteration.numbers import stacked

ROWS = [{"x": float(i), "y": i, "v": np.full(2, i, dtype=np.float32)} for i in range(5)]


def dataset() -> Any:
    return ray.data.from_items(ROWS, override_num_blocks=2)


class TestTorch:
    @pytest.fixture(autouse=True)
    def torch(self) -> Any:
        return pytest.importorskip("torch")

    def test_batches(self, torch: Any) -> None:
        batches = list(dataset().iter_torch_batches(batch_size=2, dtypes={"y": torch.float16}))
        assert [len(batch["x"]) for batch in batches] == [2, 2, 1]
        assert batches[0]["x"].dtype == torch.float64 and batches[0]["y"].dtype == torch.float16
        assert batches[1]["v"].tolist() == [[2, 2], [3, 3]]
        short = list(dataset().iter_torch_batches(batch_size=2, dtypes=torch.int32, drop_last=True, device="cpu"))
        assert [batch["x"].tolist() for batch in short] == [[0, 1], [2, 3]]
        options = {"batch_size": 2, "local_shuffle_buffer_size": 4, "local_shuffle_seed": 3}
        mixed = [batch["y"].tolist() for batch in dataset().iter_torch_batches(**options)]
        assert sorted(y for batch in mixed for y in batch) == [0, 1, 2, 3, 4] and mixed != [[0, 1], [2, 3], [4]]
        assert mixed == [batch["y"].tolist() for batch in dataset().iter_torch_batches(**options)]

    def test_tensors_may_be_changed(self) -> None:
        kept = dataset().materialize()
        for _ in range(2):
            (batch,) = (
                kept.iter_torch_batches(batch_size=None)
                if kept.num_blocks() == 1
                else [next(iter(kept.iter_torch_batches(batch_size=5)))]
            )
            assert batch["x"].tolist() == [0, 1, 2, 3, 4]
            batch["x"] += 1

    def test_collate_functions(self, torch: Any) -> None:
        class OfArrow(ArrowBatchCollateFn):
            def __call__(self, batch: Any) -> Any:
                return torch.tensor(batch["y"].to_pylist()), {"n": batch.num_rows}

        class OfPandas(PandasBatchCollateFn):
            def __call__(self, batch: Any) -> Any:
                return [torch.tensor(batch["y"].tolist())]

        ((tensor, sizes),) = dataset().iter_torch_batches(batch_size=5, collate_fn=OfArrow(), device="meta")
        assert tensor.device.type == "meta" and sizes == {"n": 5}
        assert next(iter(dataset().iter_torch_batches(batch_size=5, collate_fn=OfPandas())))[0].tolist() == [
            0,
            1,
            2,
            3,
            4,
        ]
        plain = dataset().iter_torch_batches(batch_size=5, collate_fn=lambda batch: batch["y"].sum())
        assert list(plain) == [10]
        with pytest.raises(ValueError, match="collate_fn"):
            dataset().iter_torch_batches(collate_fn=OfArrow(), dtypes=torch.float32)

    def test_what_torch_has_no_type_for(self) -> None:
        with pytest.raises(TypeError, match="'s'"):
            list(ray.data.from_items([{"s": "x"}]).iter_torch_batches())
        with pytest.raises(TypeError, match="'v' has arrays of different shapes"):
            list(ray.data.from_items([{"v": [1]}, {"v": [1, 2]}]).iter_torch_batches())

    def test_an_iterable_dataset(self, torch: Any) -> None:
        pairs = dataset().to_torch(label_column="y", feature_columns=["x"], batch_size=2)
        assert isinstance(pairs, torch.utils.data.IterableDataset)
        for _ in range(2):
            features, labels = zip(*pairs, strict=True)
            assert torch.cat(features).tolist() == [[0], [1], [2], [3], [4]]
            assert torch.cat(labels).tolist() == [[0], [1], [2], [3], [4]]
        loader = torch.utils.data.DataLoader(pairs, batch_size=None)
        assert sum(len(labels) for _, labels in loader) == 5
        whole = dataset().to_torch(
            label_column="y", feature_columns={"a": ["x"], "b": ["v"]}, batch_size=5, unsqueeze_label_tensor=False,
            label_column_dtype=torch.float32, feature_column_dtypes=torch.float32,
        )  # fmt: skip
        ((found, label),) = whole
        assert found["a"].shape == (5, 1) and found["b"].shape == (5, 2) and found["a"].dtype == torch.float32
        assert label.shape == (5,) and label.dtype == torch.float32
        ((joined, nothing),) = dataset().select_columns(["x", "v"]).to_torch(batch_size=5)
        assert joined.shape == (5, 3) and nothing is None
        ((one, two), _) = next(iter(dataset().to_torch(label_column="y", feature_columns=[["x"], ["v"]])))
        assert one.shape == (1, 1) and two.shape == (1, 2)

    def test_processes_of_a_loader_share_the_rows(self, torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        pairs = dataset().to_torch(label_column="y", feature_columns=["x"])
        found = []
        for number in range(3):
            info = type("Info", (), {"num_workers": 3, "id": number})()
            monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda info=info: info)
            found.append([int(label) for _, label in pairs])
        assert sorted(label for part in found for label in part) == [0, 1, 2, 3, 4]
        assert [len(part) for part in found] == [2, 2, 1]


class TestJax:
    def test_batches(self) -> None:
        jax = pytest.importorskip("jax.numpy")
        batches = list(dataset().iter_jax_batches(batch_size=2, dtypes={"x": jax.float32}, paddings={"x": -1, "y": 0}))
        assert [batch["x"].tolist() for batch in batches] == [[0, 1], [2, 3], [4, -1]]
        assert batches[0]["x"].dtype == jax.float32 and batches[2]["v"].shape == (1, 2)
        assert [len(batch["y"]) for batch in dataset().iter_jax_batches(batch_size=2, drop_last=True)] == [2, 2]
        (total,) = dataset().iter_jax_batches(batch_size=5, collate_fn=lambda batch: batch["y"].sum())
        assert total == 10
        with pytest.raises(TypeError, match="'s'"):
            list(ray.data.from_items([{"s": "x"}]).iter_jax_batches())
        with pytest.raises(ValueError, match="collate_fn"):
            dataset().iter_jax_batches(collate_fn=len, paddings=0)


class TestTensorFlow:
    @pytest.fixture(autouse=True)
    def tf(self) -> Any:
        return pytest.importorskip("tensorflow")

    def test_batches(self, tf: Any) -> None:
        batches = list(dataset().iter_tf_batches(batch_size=2, dtypes={"y": tf.float32}))
        assert [batch["x"].numpy().tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
        assert batches[0]["y"].dtype == tf.float32 and batches[0]["v"].shape == (2, 2)
        (ragged,) = ray.data.from_items([{"v": [1]}, {"v": [1, 2]}]).iter_tf_batches()
        assert ragged["v"].to_list() == [[1], [1, 2]]

    def test_a_dataset_of_tensorflow(self, tf: Any) -> None:
        pairs = dataset().to_tf(["x", "v"], "y", batch_size=2, additional_columns="x")
        assert pairs.element_spec[1].dtype == tf.int64 and pairs.element_spec[0]["v"].shape == (None, 2)
        for _ in range(2):
            found = list(pairs)
            assert [features["x"].numpy().tolist() for features, _, _ in found] == [[0, 1], [2, 3], [4]]
            assert [labels.numpy().tolist() for _, labels, _ in found] == [[0, 1], [2, 3], [4]]
        with pytest.raises(UnknownColumnError, match="'nope'"):
            dataset().to_tf("nope", "y")
        with pytest.raises(TypeError, match="'t'"):
            ray.data.from_items([{"t": {"a": 1}, "y": 1}]).to_tf("t", "y")

    def test_elements_of_tensorflow(self, tf: Any) -> None:
        found = ray.data.from_tf(tf.data.Dataset.from_tensor_slices({"x": [1, 2], "y": [0.5, 1.5]}))
        assert found.take_all() == [{"x": 1, "y": 0.5}, {"x": 2, "y": 1.5}]
        assert ray.data.from_tf(tf.data.Dataset.range(2)).take_all() == [{"item": 0}, {"item": 1}]


def test_columns_that_no_framework_takes() -> None:
    assert stacked("v", np.array([[1, 2], [3, 4]], dtype=object), "JAX").dtype == np.int64
    with pytest.raises(TypeError, match=r"'s' is .*, for which JAX has no type"):
        stacked("s", np.array(["x"]), "JAX")


@pytest.mark.parametrize("name", ["tf", "jax", "torch"])
def test_a_library_that_is_missing_is_named_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray_async.data.sources.optional.find_spec", lambda module: None)
    call = dataset().to_torch if name == "torch" else getattr(dataset(), f"iter_{name}_batches")
    with pytest.raises(ImportError, match="which is not installed: pip install"):
        call()
