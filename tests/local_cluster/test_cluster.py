"""Logical nodes: where work runs, and what the loss of a node does."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.cluster_utils import Cluster
from ray_async.runtime.start import node_control
from ray_async.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
    yield cluster
    cluster.shutdown()
    assert not ray.is_initialized()


@ray.remote
def node_id() -> str:
    return ray.get_runtime_context().get_node_id()


def test_nodes_have_resources_labels_and_workers_of_their_own(cluster: Cluster) -> None:
    node = cluster.add_node(num_cpus=2, resources={"disk": 3}, labels={"zone": "a"})
    cluster.wait_for_nodes()
    assert cluster.list_all_nodes() == [cluster.head_node, node]
    assert ray.cluster_resources()["CPU"] == 3
    rows = {row["NodeID"]: row for row in ray.nodes()}
    assert rows[node.node_id]["Resources"]["disk"] == 3
    assert rows[node.node_id]["Labels"]["zone"] == "a"
    assert ray.get(node_id.options(resources={"disk": 1}).remote(), timeout=30) == node.node_id
    for one in cluster.list_all_nodes():
        strategy = NodeAffinitySchedulingStrategy(one.node_id, soft=False)
        assert ray.get(node_id.options(scheduling_strategy=strategy).remote(), timeout=30) == one.node_id


def test_the_driver_is_on_the_head(cluster: Cluster) -> None:
    assert cluster.head_node is not None
    assert ray.get_runtime_context().get_node_id() == cluster.head_node.node_id
    assert cluster.address == cluster.gcs_address == ray.get_runtime_context().gcs_address


def test_nodes_know_whether_they_live(cluster: Cluster) -> None:
    head, node = cluster.head_node, cluster.add_node()
    assert head is not None
    assert head.remaining_processes_alive()
    assert node.any_processes_alive()
    cluster.remove_node(node)
    assert not node.any_processes_alive()
    assert head.any_processes_alive()
    cluster.shutdown()
    assert not head.remaining_processes_alive()


def test_work_of_a_removed_node_is_retried_elsewhere(cluster: Cluster, wait_until: Callable[..., None]) -> None:
    nodes = [cluster.add_node(num_cpus=1, resources={"slow": 1})]

    @ray.remote(resources={"slow": 1}, num_cpus=0)
    class Worker:
        def pid(self) -> int:
            return os.getpid()

    worker = Worker.options(max_restarts=1, max_task_retries=-1).remote()
    first = ray.get(worker.pid.remote(), timeout=30)
    cluster.remove_node(nodes[0])
    assert [row["Alive"] for row in ray.nodes()] == [True, False]
    cluster.add_node(num_cpus=1, resources={"slow": 1})
    assert ray.get(worker.pid.remote(), timeout=30) != first


def test_removing_what_is_not_there(cluster: Cluster) -> None:
    node = cluster.add_node()
    cluster.remove_node(node)
    with pytest.raises(ValueError, match="not a node of this cluster"):
        cluster.remove_node(node)
    assert cluster.head_node is not None
    with pytest.raises(ValueError, match="attached"):
        cluster.remove_node(cluster.head_node)
    assert not ray.is_initialized()


def test_clusters_side_by_side() -> None:
    clusters = [Cluster(initialize_head=True, head_node_args={"num_cpus": cpus}) for cpus in (2, 4)]
    try:
        for cluster, cpus in zip(clusters, (2, 4), strict=True):
            with ray.init(address=cluster.address):
                assert ray.cluster_resources()["CPU"] == cpus
    finally:
        for cluster in clusters:
            cluster.shutdown()
            assert not cluster.remaining_processes_alive()
    assert node_control.find_nodes() == []


def test_bad_arguments() -> None:
    with pytest.raises(RuntimeError, match="without a head"):
        Cluster(connect=True)
    cluster = Cluster()
    assert cluster.address is None
    with pytest.raises(RuntimeError, match="no head"):
        cluster.connect()
    with pytest.raises(ValueError, match="num_cpus"):
        cluster.add_node(num_cpus=-1)


def test_the_table_says_why_a_placement_group_waits(cluster: Cluster, wait_until: Callable[..., None]) -> None:
    def stats(group: Any) -> dict[str, Any]:
        return dict(ray.util.placement_group_table(group)["stats"])

    everything = ray.util.placement_group([{"CPU": ray.cluster_resources()["CPU"]}])
    ray.get(everything.ready(), timeout=60)
    assert stats(everything)["scheduling_state"] == "FINISHED"
    assert stats(everything)["end_to_end_creation_latency_ms"] > 0
    late, never = ray.util.placement_group([{"CPU": 1}]), ray.util.placement_group([{"CPU": 10_000}])
    wait_until(lambda: stats(never)["scheduling_state"] == "INFEASIBLE")
    assert stats(late)["scheduling_state"] == "NO_RESOURCES"
    assert ray.util.placement_group_table(late)["bundles_to_node_id"] == {0: ""}
    ray.util.remove_placement_group(never)
    wait_until(lambda: stats(never)["scheduling_state"] == "REMOVED")
