"""Batches for TensorFlow and JAX: what their libraries are asked for. Stand-ins take their place: these are large."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ray_async as ray


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_generator(make: Callable[[], Iterator[Any]], output_signature: Any) -> SimpleNamespace:
        return SimpleNamespace(items=lambda: list(make()), signature=output_signature)

    tensorflow: Any = ModuleType("tensorflow")
    tensorflow.convert_to_tensor = lambda value, dtype=None: np.array(value, dtype=dtype)
    tensorflow.TensorSpec = lambda shape, dtype, name: (shape, np.dtype(dtype).name, name)
    tensorflow.data = SimpleNamespace(Dataset=SimpleNamespace(from_generator=from_generator))
    jax: Any = ModuleType("jax")
    jax.numpy = ModuleType("jax.numpy")
    jax.numpy.array = lambda value, dtype=None: np.array(value, dtype=dtype)
    for name, module in (("tensorflow", tensorflow), ("jax", jax), ("jax.numpy", jax.numpy)):
        monkeypatch.setitem(sys.modules, name, module)


def features() -> Any:
    return ray.data.from_items(
        [{"x": float(i), "m": np.ones((2, 2)) * i, "y": i % 2, "t": f"text {i}"} for i in range(5)]
    )


def test_batches_of_tensors() -> None:
    found = list(features().iter_tf_batches(batch_size=2, dtypes={"y": "float32"}))
    assert [batch["x"].tolist() for batch in found] == [[0.0, 1.0], [2.0, 3.0], [4.0]]
    assert found[0]["m"].shape == (2, 2, 2) and found[0]["y"].dtype == "float32"
    assert found[0]["t"].tolist() == ["text 0", "text 1"]
    arrays = list(features().select_columns(["x", "m"]).iter_jax_batches(batch_size=3, drop_last=True))
    assert len(arrays) == 1 and arrays[0]["m"].shape == (3, 2, 2)
    assert next(features().iter_jax_batches(collate_fn=lambda batch: sorted(batch))) == ["m", "t", "x", "y"]
    with pytest.raises(ValueError, match="collate_fn"):
        features().iter_jax_batches(collate_fn=len, dtypes="int8")


def test_datasets_of_tensorflow() -> None:
    found = features().to_tf(["x", "m"], "y", additional_columns="x", batch_size=2)
    parts = ({"x": ((None,), "float64", "x"), "m": ((None, 2, 2), "float64", "m")}, ((None,), "int64", "y"))
    assert found.signature[:2] == parts and len(found.items()) == 3
    first = found.items()[0]
    assert first[0]["x"].tolist() == [0.0, 1.0] and first[1].tolist() == [0, 1] and first[2].tolist() == [0.0, 1.0]
    given = features().to_tf("x", "y", feature_type_spec="a", label_type_spec="b")
    assert given.signature == ("a", "b")
    with pytest.raises(KeyError, match="'zz'"):
        features().to_tf("zz", "y")
    with pytest.raises(ValueError, match="no rows"):
        features().limit(0).to_tf("x", "y")
