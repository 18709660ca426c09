import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.engine.state import StateKind
from ray_async.util import placement_group, placement_group_table
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.cluster.hosts import Hosts
from tests.resources import wait_until

FAR = {"far": 1}
LARGE = 400_000


@ray.remote(resources=FAR)
def once_gone(folder: str) -> str:
    """Never ends where it runs first, and then at once."""
    path = Path(folder) / "begun"
    if not path.exists():
        path.touch()
        wait_until((Path(folder) / "never").exists, timeout=100)
    return ray.get_runtime_context().get_node_id()


@ray.remote(resources=FAR)
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        self.value += 1
        return self.value


@ray.remote(resources=FAR)
def put_there() -> list[Any]:
    return [ray.put(np.ones(LARGE))]


@ray.remote(resources=FAR)
def make() -> np.ndarray:
    return np.ones(LARGE)


def test_a_task_of_a_lost_node_runs_elsewhere(hosts: Hosts, tmp_path: Path) -> None:
    lost = hosts.add(num_cpus=1, resources=FAR)
    ref = once_gone.remote(str(tmp_path))
    wait_until((tmp_path / "begun").exists)
    other = hosts.add(num_cpus=1, resources=FAR)
    hosts.kill(lost)
    assert ray.get(ref) == hosts.id_of(other)
    wait_until(lambda: [row["Alive"] for row in ray.nodes()].count(False) == 1)


def test_a_task_without_retries_fails_with_its_node(hosts: Hosts, tmp_path: Path) -> None:
    lost = hosts.add(num_cpus=1, resources=FAR)
    ref = once_gone.options(max_retries=0).remote(str(tmp_path))
    wait_until((tmp_path / "begun").exists)
    hosts.kill(lost)
    with pytest.raises(ray.exceptions.WorkerCrashedError, match="is gone"):
        ray.get(ref)


def test_an_actor_of_a_lost_node_is_restarted_elsewhere(hosts: Hosts) -> None:
    lost = hosts.add(num_cpus=1, resources=FAR)
    counter = Counter.options(max_restarts=1, max_task_retries=-1).remote()
    assert ray.get([counter.add.remote() for _ in range(3)]) == [1, 2, 3]
    hosts.add(num_cpus=1, resources=FAR)
    hosts.kill(lost)
    assert ray.get(counter.add.remote()) in (1, 4)  # the first may have been sent before the loss was known
    row = next(row for row in hosts.rows(hosts.first, StateKind.ACTORS) if row["class_name"] == "Counter")
    assert row["num_restarts"] == 1


def test_an_actor_that_may_not_restart_dies_with_its_node(hosts: Hosts) -> None:
    lost = hosts.add(num_cpus=1, resources=FAR)
    counter = Counter.remote()
    ray.get(counter.add.remote())
    hosts.kill(lost)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(counter.add.remote())
        ray.get(counter.add.remote())


def test_what_was_put_on_a_lost_node_is_lost(hosts: Hosts) -> None:
    lost = hosts.add(num_cpus=1, resources=FAR)
    (ref,) = ray.get(put_there.remote())
    ray.wait([ref], fetch_local=False)
    hosts.kill(lost)
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get(ref)


def test_a_result_that_lay_on_a_lost_node_is_made_again(hosts: Hosts) -> None:
    lost = hosts.add(num_cpus=1, resources=FAR)
    ref = make.remote()
    ray.wait([ref], fetch_local=False)
    hosts.add(num_cpus=1, resources=FAR)
    hosts.kill(lost)
    assert ray.get(ref).sum() == LARGE


def test_what_a_node_ran_for_a_lost_one_ends(hosts: Hosts, tmp_path: Path) -> None:
    other = hosts.add(num_cpus=1, resources=FAR)
    once_gone.remote(str(tmp_path))
    counter = Counter.options(num_cpus=0, resources={}).remote()
    ray.get(counter.add.remote())
    wait_until((tmp_path / "begun").exists)
    ray.shutdown()
    hosts.kill(hosts.first)  # and the head with it: the other node's agent has nothing to take part in any more
    wait_until(lambda: hosts.agent_or_none(other) == -1)
    wait_until(lambda: [r for r in hosts.rows(other, StateKind.TASKS) if r["state"] == "RUNNING"] == [])


def test_a_task_comes_back_when_its_own_node_is_cut_off(hosts: Hosts, tmp_path: Path) -> None:
    hosts.add(num_cpus=1, resources=FAR)

    @ray.remote
    def anywhere(folder: str, number: int) -> str:
        path = Path(folder) / f"begun{number}"
        again = path.exists()
        path.touch()
        if not again:
            wait_until((Path(folder) / "go").exists, timeout=100)
        return ray.get_runtime_context().get_node_id()

    refs = [anywhere.remote(str(tmp_path), n) for n in range(2)]
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    os.kill(hosts.agent(hosts.first), signal.SIGKILL)
    wait_until(lambda: len(ray.nodes()) == 1)
    (tmp_path / "go").touch()
    assert ray.get(refs) == [hosts.id_of(hosts.first)] * 2


def test_a_node_that_joins_later_is_used(hosts: Hosts) -> None:
    ref = make.remote()
    assert ray.wait([ref], timeout=0.3)[0] == []
    hosts.add(num_cpus=1, resources=FAR)
    assert ray.get(ref).sum() == LARGE


def test_a_stream_goes_on_after_a_loss(hosts: Hosts, tmp_path: Path) -> None:
    @ray.remote(resources=FAR, num_returns="streaming", max_retries=1)
    def waits(folder: str) -> Iterator[Any]:
        first = not (Path(folder) / "begun").exists()
        (Path(folder) / "begun").touch()
        for number in range(6):
            if number == 3 and first:
                wait_until((Path(folder) / "never").exists, timeout=100)
            yield number

    lost = hosts.add(num_cpus=1, resources=FAR)
    stream = waits.remote(str(tmp_path))
    assert [ray.get(next(stream)) for _ in range(3)] == [0, 1, 2]
    hosts.add(num_cpus=1, resources=FAR)
    hosts.kill(lost)
    assert [ray.get(ref) for ref in stream] == [3, 4, 5]


def test_a_name_is_free_once_its_node_is_lost(hosts: Hosts) -> None:
    program = """
@ray.remote(num_cpus=0)
class Counter:
    def add(self):
        return 0
counter = Counter.options(name="held", lifetime="detached").remote()
print(ray.get(counter.add.remote()))
"""
    lost = hosts.add(num_cpus=1)
    assert hosts.run(lost, program) == "0"
    assert ray.get(ray.get_actor("held", namespace="shared").add.remote()) == 0
    hosts.kill(lost)
    wait_until(lambda: {"name": "held", "namespace": "shared"} not in ray.util.list_named_actors(all_namespaces=True))
    counter = Counter.options(name="held", namespace="shared", num_cpus=0, resources={}).remote()
    assert ray.get(counter.add.remote()) == 1
    assert ray.get_actor("held", namespace="shared") == counter


@ray.remote
def where() -> str:
    return ray.get_runtime_context().get_node_id()


def test_a_bundle_of_a_lost_node_is_placed_anew(hosts: Hosts) -> None:
    def nodes() -> set[str]:
        return set(placement_group_table(group)["bundles_to_node_id"].values())

    lost = hosts.add(num_cpus=1)
    group: Any = placement_group([{"CPU": 1}] * 2, strategy="STRICT_SPREAD")
    ray.get(group.ready())
    assert nodes() == {hosts.id_of(hosts.first), hosts.id_of(lost)}
    other = hosts.add(num_cpus=1)
    hosts.kill(lost)
    ids = {hosts.id_of(hosts.first), hosts.id_of(other)}
    wait_until(lambda: nodes() == ids)
    bundles = [PlacementGroupSchedulingStrategy(group, index) for index in range(2)]
    assert set(ray.get([where.options(scheduling_strategy=bundle).remote() for bundle in bundles])) == ids
