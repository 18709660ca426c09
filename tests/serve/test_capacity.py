"""Target capacity: a share of all replicas, as configs say it."""

from typing import Any

import httpx
import pytest

from ray_async import serve
from ray_async.serve.api import deploy
from ray_async.serve.application import ConfigSettings, build
from ray_async.serve.autoscaling_config import AutoscalingConfig
from ray_async.serve.controller.autoscaling import at_capacity, number_at_capacity
from ray_async.serve.deploying.schema import ConfigError, ServeDeploySchema
from tests.serve.controller import kill_controller, replica_states
from tests.serve.waiting import wait_until


@pytest.mark.parametrize(
    ("number", "capacity", "adjusted"),
    [
        (10, None, 10),
        (10, 100, 10),
        (10, 50, 5),
        (5, 50, 3),  # halves go upwards
        (10, 14.9, 1),
        (10, 1, 1),  # one at least
        (10, 0, 0),
        (0, 50, 0),
        (1, 99, 1),
    ],
)
def test_shares_of_a_number(number: int, capacity: float | None, adjusted: int) -> None:
    assert number_at_capacity(number, capacity) == adjusted


def test_shares_of_bounds() -> None:
    config = AutoscalingConfig(min_replicas=2, initial_replicas=6, max_replicas=20)
    half = at_capacity(config, 50)
    assert (half.min_replicas, half.initial_replicas, half.max_replicas) == (1, 3, 10)
    assert at_capacity(config, None) is config
    from_zero = at_capacity(AutoscalingConfig(min_replicas=0, max_replicas=10), 20)
    assert (from_zero.min_replicas, from_zero.initial, from_zero.max_replicas) == (0, 0, 2)


@serve.deployment(num_replicas=4)
class Four:
    async def __call__(self, request: Any = None) -> str:
        return "four"


@serve.deployment(autoscaling_config={"min_replicas": 2, "max_replicas": 8})
class Scaled:
    def __init__(self, four: Any) -> None:
        self.four = four

    async def __call__(self, request: Any = None) -> str:
        return "scaled"


def test_all_deployments_keep_a_share(http: httpx.Client) -> None:
    built = build(Scaled.bind(Four.bind()), "default", "/")

    def at(capacity: float | None) -> None:
        deploy([built], None, wait=True, settings=ConfigSettings(capacity))
        assert serve.status().target_capacity == capacity

    def wait_for(four: int, scaled: int) -> None:
        wanted = {"Four": {"RUNNING": four} if four else {}, "Scaled": {"RUNNING": scaled} if scaled else {}}
        wait_until(lambda: replica_states() == wanted)

    at(50)
    wait_for(2, 1)
    # What is deployed by itself keeps it, and so does the next controller.
    serve.run(Scaled.bind(Four.options(num_replicas=2).bind()))
    wait_for(1, 1)
    kill_controller()
    assert serve.status().target_capacity == 50
    at(None)
    wait_for(4, 2)
    at(0)
    wait_for(0, 0)
    at(100)
    wait_for(4, 2)
    assert http.get("/").text == "scaled"
    at(None)


def test_bad_capacities() -> None:
    for value in (-1, 101, "half"):
        with pytest.raises(ConfigError, match="target_capacity: Input should be"):
            ServeDeploySchema.of({"applications": [], "target_capacity": value})


def test_bad_locations() -> None:
    with pytest.raises(ConfigError, match=r"proxy_location: .*'Disabled', 'HeadOnly' or 'EveryNode'"):
        ServeDeploySchema.of({"applications": [], "proxy_location": "Nowhere"})
