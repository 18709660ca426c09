"""What goes with a logical node: copies of large objects that no other node has."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.cluster_utils import Cluster, ClusterNode
from ray_async.exceptions import ActorDiedError, NodeDiedError, ObjectReconstructionFailedError, RayTaskError
from ray_async.experimental import get_local_object_locations, get_object_locations
from ray_async.util import state

LARGE = 1_000_000
TIMEOUT_S = 60


def start(**settings: Any) -> Cluster:
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "resources": {"head": 1}, "_system_config": settings}
    )
    ray.init(address=cluster.address)
    return cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = start()
    yield cluster
    cluster.shutdown()


@pytest.fixture
def without_lineage() -> Iterator[Cluster]:
    cluster = start(lineage_pinning_enabled=False)
    yield cluster
    cluster.shutdown()


def add_far(cluster: Cluster) -> ClusterNode:
    return cluster.add_node(num_cpus=2, resources={"far": 1})


@ray.remote(resources={"far": 1})
def zeros(path: str = "") -> Any:
    if path:
        with open(path, "a") as file:
            file.write("run\n")
    return np.zeros(LARGE, dtype=np.uint8)


@ray.remote(resources={"far": 1})
def total(array: Any) -> int:
    return int(array.sum())


def finished(ref: Any) -> bool:
    """Without fetching it to the driver's node."""
    return bool(ray.wait([ref], timeout=TIMEOUT_S, fetch_local=False)[0])


def test_what_only_a_removed_node_had_is_computed_again(cluster: Cluster, tmp_path: Any) -> None:
    runs = tmp_path / "runs"
    node = add_far(cluster)
    ref = zeros.remote(str(runs))
    assert ray.get(total.remote(ref), timeout=TIMEOUT_S) == 0
    cluster.remove_node(node)
    add_far(cluster)
    # One resource is needed by both, so the second task must not hold it while the first runs again.
    assert ray.get(total.remote(ref), timeout=TIMEOUT_S) == 0
    assert ray.get(ref, timeout=TIMEOUT_S).size == LARGE
    assert runs.read_text() == "run\n" * 2


def test_workers_of_a_removed_node_are_gone(cluster: Cluster) -> None:
    @ray.remote(resources={"far": 0.1})
    def pid() -> int:
        return os.getpid()

    node = add_far(cluster)
    worker = ray.get(pid.remote(), timeout=TIMEOUT_S)
    cluster.remove_node(node)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_what_another_node_has_read_survives(cluster: Cluster) -> None:
    node = add_far(cluster)
    ref = zeros.options(max_retries=0).remote()
    assert ray.get(ref, timeout=TIMEOUT_S).size == LARGE
    cluster.remove_node(node)
    assert ray.get(ref, timeout=TIMEOUT_S).size == LARGE


def test_what_may_not_run_again_is_lost_with_the_reason(cluster: Cluster) -> None:
    node = add_far(cluster)
    never, once = zeros.options(max_retries=0).remote(), zeros.options(max_retries=1).remote()
    assert finished(never)
    assert finished(once)
    cluster.remove_node(node)
    with pytest.raises(ObjectReconstructionFailedError, match="RETRIES_DISABLED"):
        ray.get(never, timeout=TIMEOUT_S)
    node = add_far(cluster)
    assert ray.get(total.remote(once), timeout=TIMEOUT_S) == 0
    cluster.remove_node(node)
    with pytest.raises(ObjectReconstructionFailedError, match="MAX_ATTEMPTS_EXCEEDED"):
        ray.get(once, timeout=TIMEOUT_S)


def test_a_lost_argument_fails_the_task_as_an_error_of_its_own(without_lineage: Cluster) -> None:
    node = add_far(without_lineage)
    ref = zeros.remote()
    assert finished(ref)
    without_lineage.remove_node(node)
    add_far(without_lineage)
    for _ in range(2):  # the second time the reference is known to have failed
        with pytest.raises(RayTaskError, match="could not be computed") as caught:
            ray.get(total.remote(ref), timeout=TIMEOUT_S)
        assert isinstance(caught.value, ObjectReconstructionFailedError)
    with pytest.raises(ObjectReconstructionFailedError, match="LINEAGE_DISABLED"):
        ray.get(ref, timeout=TIMEOUT_S)


def test_results_of_actors_stay_and_small_ones_too(cluster: Cluster) -> None:
    @ray.remote(num_cpus=0, resources={"far": 0.5}, max_restarts=-1, max_task_retries=-1)
    class Maker:
        def make(self, size: int) -> Any:
            return np.ones(size, dtype=np.uint8)

    node = add_far(cluster)
    maker = Maker.remote()
    large, small = maker.make.remote(LARGE), maker.make.remote(10)
    assert finished(large)
    assert finished(small)
    cluster.remove_node(node)
    assert [array.size for array in ray.get([large, small], timeout=TIMEOUT_S)] == [LARGE, 10]


def test_an_actor_restarts_when_what_its_constructor_needs_is_back(
    cluster: Cluster, wait_until: Callable[..., None]
) -> None:
    @ray.remote(num_cpus=0, resources={"far": 1}, max_restarts=-1, max_task_retries=-1)
    class Holder:
        def __init__(self, array: Any) -> None:
            self.size = array.size

        def get(self) -> int:
            return int(self.size)

    node = add_far(cluster)
    ref = zeros.remote()
    assert finished(ref)
    holder = Holder.remote(ref)
    assert ray.get(holder.get.remote(), timeout=TIMEOUT_S) == LARGE
    cluster.remove_node(node)
    add_far(cluster)
    assert ray.get(holder.get.remote(), timeout=TIMEOUT_S) == LARGE


def test_locations(cluster: Cluster) -> None:
    far = add_far(cluster)
    head = ray.get_runtime_context().get_node_id()
    made = zeros.remote()
    assert finished(made)
    small = ray.put("small")
    pending = zeros.options(resources={"nowhere": 1}).remote()
    rows = get_object_locations([made, small, pending])
    assert rows[made]["node_ids"] == [far.node_id]
    assert rows[made]["object_size"] >= LARGE
    assert rows[made]["did_spill"] is False
    assert rows[small]["node_ids"] == [head]
    assert rows[small]["object_size"] > 0
    assert rows[pending] == {"node_ids": [], "object_size": None, "did_spill": False}
    assert ray.wait([made], timeout=TIMEOUT_S)[0]
    assert set(get_local_object_locations([made])[made]["node_ids"]) == {head, far.node_id}
    ray.cancel(pending)


def test_locations_need_a_session() -> None:
    with pytest.raises(RuntimeError, match="init"):
        get_object_locations([])


def test_what_runs_on_a_removed_node_says_that_it_died(cluster: Cluster, wait_until: Callable[..., None]) -> None:
    @ray.remote(resources={"far": 0.1}, max_retries=0)
    def endless() -> None:
        threading.Event().wait()

    @ray.remote(resources={"far": 0.1})
    class Endless:
        def run(self) -> None:
            threading.Event().wait()

    node = add_far(cluster)
    task, call = endless.remote(), Endless.remote().run.remote()
    running = ("state", "=", "RUNNING")
    wait_until(lambda: state.list_tasks(filters=[running, ("name", "=", "endless")]))
    wait_until(lambda: state.list_tasks(filters=[running, ("name", "=", "Endless.run")]))
    cluster.remove_node(node)
    with pytest.raises(NodeDiedError, match="its node has died"):
        ray.get(task, timeout=TIMEOUT_S)
    with pytest.raises(ActorDiedError, match="its node has died"):
        ray.get(call, timeout=TIMEOUT_S)
