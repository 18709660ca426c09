"""Devices by UUID: exporter and importer may see different ones, slices of one, or none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from tests.gpu.roles import Holder

GPU = [f"GPU-fake-{n}" for n in range(4)]


def seeing(names: str) -> Any:
    """An actor that sees the devices which a list names."""
    return Holder.options(runtime_env={"env_vars": {"CUDA_VISIBLE_DEVICES": names}}).remote()


@pytest.mark.parametrize(
    ("names", "visible"),
    [
        ("0,1", GPU[:2]),
        ("2,0", [GPU[2], GPU[0]]),
        ("GPU-fake-3", [GPU[3]]),
        ("MIG-fake-1", ["MIG-fake-1"]),
        ("", []),
        ("-1", []),
        ("1,-1,2", [GPU[1]]),
        ("GPU-of-another-machine", []),
    ],
)
@pytest.mark.parametrize("peers", [True, False])
def test_lists_of_devices(names: str, visible: list[str], peers: bool, start: Callable[..., Any]) -> None:
    start(devices=4, slices=2, peers=peers)
    mine = [fake.array(np.arange(4.0), device=n) for n in range(4)]
    actor = seeing(names)
    assert ray.get(actor.devices.remote()) == visible
    for n, uuid in enumerate(GPU):
        if not visible:
            with pytest.raises(ray.exceptions.RaySystemError, match=f"sees no GPU for an array of {uuid}"):
                ray.get(actor.where.remote([mine[n]]))
            continue
        found, values = ray.get(actor.where.remote([mine[n]]))
        assert values.tolist() == [0, 1, 2, 3]
        reaches = peers and visible[0].startswith("GPU")
        assert found == (uuid if uuid in visible or reaches else visible[0])
    if visible:
        counts = ray.get(actor.counts.remote())
        reached = 4 if peers and visible[0].startswith("GPU") else len(set(visible) & set(GPU))
        assert counts.get("open_base", 0) == reached
        assert counts.get("copy_to_device", 0) == 4 - reached


def test_a_copy_is_made_once_and_said_once(start: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    start(devices=2, peers=False)
    actor = seeing("1")
    ref = ray.get(actor.keep_reference.remote(np.arange(4.0)))[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "0")
        with caplog.at_level(logging.WARNING, "ray_async"):
            for _ in range(3):
                assert ray.get(ref).get().tolist() == [0, 1, 2, 3]
    assert ray.get(actor.counts.remote())["copy_to_host"] == 1
    assert [record.getMessage() for record in caplog.records if "copied" in record.getMessage()] == [
        "an array on a GPU is copied on its way: it lies on GPU-fake-1, which this process cannot reach"
    ]


def test_a_slice_that_was_passed_on_is_found_in_a_copy(start: Callable[..., Any]) -> None:
    start(devices=2, peers=False)
    middle, last = seeing("0"), seeing("1")
    ray.get(middle.take.remote("x", fake.array(np.arange(8.0))))
    ray.get(middle.write.remote("x", 2))
    assert ray.get(last.values_of.remote(middle.give.remote("x", slice(2, 5)))).tolist() == [2] * 3


@pytest.mark.parametrize("kind", ["managed", "stream-ordered", "virtual"])
def test_memory_that_cannot_be_exported_is_copied_once(
    kind: str, start: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    start()
    actor = Holder.remote()
    with caplog.at_level(logging.WARNING, "ray_async"):
        for n in range(3):
            mine = fake.array([float(n)], kind=kind)
            ref = actor.sum_of.remote(mine)
            del mine
            assert ray.get(ref) == n
    assert fake.counts()["copy_on_device"] == 3
    copies = [record.getMessage() for record in caplog.records if "copied" in record.getMessage()]
    assert copies == [
        f"an array on a GPU is copied on its way: it lies in {kind} memory, which other processes cannot open"
    ]
    assert "failed_call" not in fake.counts()


def test_an_exporter_that_cannot_copy_says_why(start: Callable[..., Any]) -> None:
    start(devices=2, peers=False)
    middle, last = seeing("0"), seeing("1")
    ref = middle.make_and_keep.remote("x", np.zeros(3))
    ray.wait([ref])
    ray.get(middle.break_copies.remote())
    with pytest.raises(ray.exceptions.DeviceMemoryLostError, match=r"could not copy it from its GPU: .*on purpose"):
        ray.get(last.sum_of.remote(ref))
    assert ray.get(middle.pid.remote())
