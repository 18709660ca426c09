import pickle
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async._core import portable
from ray_async._core.arena import get_current
from ray_async.cluster import values

pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture(scope="module")
def session() -> Any:
    ray.init(address="local", num_cpus=1)
    yield
    ray.shutdown()


def crossed(value: Any) -> Any:
    """A value as it is after it was packed and unpacked, with its references exchanged for others."""
    arena = get_current()
    assert arena is not None
    ref = ray.put(value)
    exported: list[Any] = []

    def export(inner: Any) -> list[Any]:
        exported.append(inner)
        return [len(exported) - 1]

    found = portable.read_value(arena, ref)
    assert found is not None
    header, frames = values.pack(found[1], found[2], export)
    frames = [bytes(frame) for frame in frames]
    came = values.unpack(header, frames, lambda described: ray.put(("other", ray.get(exported[described[0]]))))
    return ray.get(ray.put(came))


@pytest.mark.parametrize("value", [None, 1, 2.5, "text", b"data", (1, [2], {"a": None}), {1}, 1 << 70, range(4)])
def test_values(value: Any) -> None:
    assert crossed(value) == value


def test_arrays_come_as_views() -> None:
    array = np.arange(200_000)
    np.testing.assert_array_equal(crossed({"a": array})["a"], array)


@pytest.mark.parametrize("wrap", [lambda ref: [ref], lambda ref: {"set": {1, 2}, "ref": ref}])
def test_references_inside_are_exchanged(wrap: Any) -> None:
    came = crossed(wrap(ray.put(7)))
    ref = came[0] if isinstance(came, list) else came["ref"]
    found: Any = ray.get(ref)
    assert found == ("other", 7)


def test_a_value_of_builtins_may_name_no_class() -> None:
    data = pickle.dumps(np.arange(3))
    with pytest.raises(pickle.UnpicklingError, match="names"):
        values.unpack({"plain": True, "refs": []}, [data], lambda described: None)
