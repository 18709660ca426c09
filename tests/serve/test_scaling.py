"""Scaling of deployments that serve: to zero and back, by policies of one's own, and what a failed start does."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.exceptions import DeploymentUnavailableError
from ray_async.util import state
from tests.serve.controller import controller_pid, kill_controller, replica_pids, replica_states
from tests.serve.gate import Gated
from tests.serve.sizes import size
from tests.serve.waiting import wait_until

FAST = {"metrics_interval_s": 0.1, "look_back_period_s": 0.2, "upscale_delay_s": 0, "downscale_delay_s": 0}
TO_ZERO = FAST | {"min_replicas": 0, "max_replicas": 3}


class Counter:
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def add(self, value: str) -> None:
        self.seen.append(value)

    async def all(self) -> list[str]:
        return self.seen


@serve.deployment(autoscaling_config=TO_ZERO)
class Counted:
    def __init__(self, counter: Any) -> None:
        self.counter = counter

    async def __call__(self, request: Any) -> str:
        value: str = request if isinstance(request, str) else request.query_params["value"]
        await self.counter.add.remote(value)
        return value


def front_pid() -> int:
    """The process of the front; 0 while it has none."""
    rows = state.list_actors(filters=[("name", "=", "SERVE_FRONT"), ("state", "=", "ALIVE")])
    return rows[0].pid if rows else 0


def test_a_front_that_is_killed_is_replaced(http: httpx.Client) -> None:
    counter = ray.remote(Counter).options(num_cpus=0).remote()
    serve.run(Counted.bind(counter))
    for number in range(3):
        wait_until(at_zero)
        wait_until(front_pid)
        wait_until(lambda: serve.status().http_accepted_by == "FRONT")
        pid = front_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: front_pid() not in (0, pid))  # type: ignore[misc]
        with httpx.Client(base_url=http.base_url, timeout=60) as client:
            assert client.get("/", params={"value": str(number)}).text == str(number)
    ray.kill(ray.get_actor("SERVE_FRONT", namespace="serve"))
    wait_until(at_zero)
    with httpx.Client(base_url=http.base_url, timeout=60) as client:
        assert client.get("/", params={"value": "last"}).text == "last"
    ray.kill(counter)


def test_a_front_and_a_controller_that_are_killed_at_once(http: httpx.Client) -> None:
    counter = ray.remote(Counter).options(num_cpus=0).remote()
    serve.run(Counted.bind(counter))
    address = serve.status().http_address
    for number in range(3):
        wait_until(lambda: at_zero() and front_pid() and controller_pid())
        pids = front_pid(), controller_pid()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda pids=pids: not {front_pid(), controller_pid()} & {0, *pids})  # type: ignore[misc]

        def answered(number: int = number) -> bool:
            try:
                answer = httpx.get(f"http://{address}/", params={"value": str(number)}, timeout=60)
            except httpx.ConnectError:  # nobody has the socket until the next controller has bound it
                return False
            return answer.text == str(number)

        wait_until(answered)
    assert serve.status().http_address == address
    ray.kill(counter)


def at_zero() -> bool:
    return replica_pids() == {}


def test_from_zero_nothing_is_lost_or_done_twice(http: httpx.Client) -> None:
    counter = ray.remote(Counter).options(num_cpus=0).remote()
    handle = serve.run(Counted.bind(counter))
    assert replica_states() == {"Counted": {}}
    wait_until(front_pid)
    expected: list[str] = []
    with ThreadPoolExecutor(size(40, 100)) as pool:
        for round_ in range(size(6, 20)):
            wait_until(at_zero)
            values = [f"{round_}-{number}" for number in range(size(40, 100))]
            answers = [
                pool.submit(lambda value: http.get("/", params={"value": value}).text, value)
                if number % 2
                else pool.submit(lambda value: handle.remote(value).result(), value)
                for number, value in enumerate(values)
            ]
            if round_ in (2, 4):
                kill_controller()
            assert [answer.result() for answer in answers] == values
            expected += values
            if round_ == 3:
                wait_until(at_zero)
                kill_controller()
    assert sorted(ray.get(counter.all.remote())) == sorted(expected)
    wait_until(lambda: serve.status().applications["default"].status == "RUNNING" and at_zero())
    ray.kill(counter)


def test_the_target_outlives_the_controller(http: httpx.Client, gate: Any) -> None:
    slow = FAST | {"max_replicas": 3, "target_ongoing_requests": 1, "downscale_delay_s": 600}
    handle = serve.run(Gated.options(autoscaling_config=slow).bind(gate))
    responses = [handle.remote() for _ in range(3)]
    wait_until(lambda: replica_states() == {"Gated": {"RUNNING": 3}})
    pids = replica_pids()
    ray.get(gate.open.remote())
    assert [response.result() for response in responses] == [None] * 3
    kill_controller()
    assert replica_states() == {"Gated": {"RUNNING": 3}}
    serve.run(Gated.options(autoscaling_config=slow, max_ongoing_requests=7).bind(gate))
    assert replica_pids() == pids


def test_auto(http: httpx.Client) -> None:
    @serve.deployment(num_replicas="auto")
    class Auto:
        async def __call__(self) -> str:
            return "auto"

    assert serve.run(Auto.bind()).remote().result() == "auto"
    assert replica_states() == {"Auto": {"RUNNING": 1}}


async def three(context: Any) -> tuple[int, dict[str, Any]]:
    assert context.config.max_replicas == 4
    assert context.deployment_id == (context.deployment_name, context.app_name)
    assert len(context.running_replicas) == context.current_num_replicas
    return 3, {}


class Steps:
    """Wants one more at each look, up to a number."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, context: Any) -> tuple[int, dict[str, int]]:
        looks = context.policy_state.get("looks", 0) + 1
        return min(looks, self.most), {"looks": looks}


def fails(context: Any) -> Any:
    raise ValueError("the policy cannot decide")


@pytest.mark.parametrize(
    ("policy", "replicas"),
    [
        (three, 3),
        ({"policy_function": Steps, "policy_kwargs": {"most": 2}}, 2),
        ("ray_async.serve.autoscaling_policy:default_autoscaling_policy", 1),
        (fails, 1),
    ],
)
def test_policies(http: httpx.Client, policy: Any, replicas: int) -> None:
    config = FAST | {"max_replicas": 4, "policy": policy}

    @serve.deployment(autoscaling_config=config)
    class Some:
        async def __call__(self, request: Any = None) -> int:
            return os.getpid()

    handle = serve.run(Some.bind())
    wait_until(lambda: replica_states() == {"Some": {"RUNNING": replicas}})
    assert len({handle.remote().result() for _ in range(60)}) == replicas
    kill_controller()
    assert replica_states()["Some"]["RUNNING"] >= 1


async def by_what_is_recorded(context: Any) -> tuple[int, dict[str, Any]]:
    lengths = context.aggregated_metrics.get("queue", {})
    assert all(len(values) >= 1 for values in context.raw_metrics.get("queue", {}).values())
    return max([1, *map(int, lengths.values())]), {}


def test_what_replicas_record(http: httpx.Client) -> None:
    @serve.deployment(autoscaling_config=FAST | {"max_replicas": 4, "policy": by_what_is_recorded})
    class Queued:
        def record_autoscaling_stats(self) -> dict[str, float]:
            return {"queue": 3}

        async def __call__(self) -> int:
            return os.getpid()

    serve.run(Queued.bind())
    wait_until(lambda: replica_states() == {"Queued": {"RUNNING": 3}})


def test_a_replica_that_cannot_start_fails_requests_and_is_tried_again(http: httpx.Client, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()

    @serve.deployment(autoscaling_config=TO_ZERO)
    class Model:
        def __init__(self) -> None:
            if broken.exists():
                raise ValueError("the weights are missing")

        async def __call__(self, request: Any = None) -> str:
            return "well"

    handle = serve.run(Model.bind())
    answer = http.get("/")
    assert (answer.status_code, "serve.status()" in answer.text) == (503, True)
    with pytest.raises(DeploymentUnavailableError, match="No replica of deployment 'Model' can start"):
        handle.remote().result()
    status = serve.status().applications["default"]
    assert status.status == "UNHEALTHY"
    assert "the weights are missing" in status.deployments["Model"].message
    broken.unlink()
    wait_until(lambda: http.get("/").text == "well")
    assert handle.remote().result() == "well"


def test_a_started_deployment_whose_replicas_cannot_start_any_more_heals(http: httpx.Client, tmp_path: Path) -> None:
    broken = tmp_path / "broken"

    @serve.deployment(num_replicas=2)
    class Model:
        def __init__(self) -> None:
            if broken.exists():
                raise ValueError("the weights are missing")

        async def __call__(self, request: Any = None) -> int:
            return os.getpid()

    handle = serve.run(Model.bind())
    broken.touch()
    killed = handle.remote().result()
    os.kill(killed, 9)
    wait_until(lambda: serve.status().applications["default"].status == "UNHEALTHY")
    wait_until(lambda: replica_states()["Model"].get("RUNNING") == 1)
    assert handle.remote().result() != killed
    broken.unlink()
    wait_until(lambda: replica_states() == {"Model": {"RUNNING": 2}})
    assert serve.status().applications["default"].status == "RUNNING"


def test_callers_that_are_gone_are_not_counted(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(autoscaling_config=FAST | {"max_replicas": 3}, max_ongoing_requests=1).bind(gate))

    class Caller:
        def __init__(self, handle: Any) -> None:
            self.handle = handle

        async def call(self, count: int) -> None:
            self.responses = [self.handle.remote() for _ in range(count)]

    caller = ray.remote(Caller).options(num_cpus=0).remote(handle)
    ray.get(caller.call.remote(20))
    wait_until(lambda: replica_states() == {"Gated": {"RUNNING": 3}})
    ray.kill(caller)
    ray.get(gate.open.remote())
    wait_until(lambda: replica_states() == {"Gated": {"RUNNING": 1}})


def test_a_closed_loop_does_not_hold_up_scaling_down(http: httpx.Client, gate: Any) -> None:
    import asyncio

    handle = serve.run(Gated.options(autoscaling_config=TO_ZERO, max_ongoing_requests=1).bind(gate))

    async def call() -> None:
        responses = [handle.remote() for _ in range(6)]
        while ray.get(gate.counts.remote())[0] < 1:
            await asyncio.sleep(0.01)
        assert len(responses) == 6

    thread = threading.Thread(target=lambda: asyncio.run(call()))
    thread.start()
    thread.join()
    ray.get(gate.open.remote())
    wait_until(at_zero)
    assert handle.remote("again").result() == "again"
