"""Devices that are no GPUs, and what a node says of itself by default."""

from __future__ import annotations

import os

import pytest

import ray_async as ray

TIMEOUT_S = 60


@ray.remote(num_cpus=0)
def cores() -> tuple[list[str], str | None]:
    return ray.get_runtime_context().get_accelerator_ids()["neuron_cores"], os.environ.get("NEURON_RT_VISIBLE_CORES")


def test_other_devices_have_ids_and_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEURON_RT_VISIBLE_CORES", raising=False)
    with ray.init(num_cpus=1, num_gpus=0, resources={"neuron_cores": 2}):
        both = cores.options(resources={"neuron_cores": 2}, accelerator_type="aws-neuron-core")
        assert ray.get(both.remote(), timeout=TIMEOUT_S) == (["0", "1"], "0,1")
        assert ray.get(cores.remote(), timeout=TIMEOUT_S) == ([], None)
        assert ray.nodes()[0]["Labels"]["ray.io/accelerator-type"] == "aws-neuron-core"


def test_labels_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_NODE_MARKET_TYPE", "spot")
    monkeypatch.setenv("RAY_NODE_ZONE", "b")
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v4-16")
    with ray.init(num_cpus=1, resources={"TPU": 4}, labels={"ray.io/availability-zone": "mine"}):
        labels = ray.nodes()[0]["Labels"]
    assert labels.pop("ray.io/node-id")
    assert labels == {
        "ray.io/market-type": "spot",
        "ray.io/availability-zone": "mine",
        "ray.io/accelerator-type": "TPU-V4",
    }
