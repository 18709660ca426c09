"""Where replicas run: placement groups of their own, a number on a node, and what is said where there is no room."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async import serve
from ray_async.cluster_utils import Cluster
from ray_async.util import state
from tests.serve.controller import kill_controller, replica_pids, replica_states
from tests.serve.test_killed_controller import Deploy
from tests.serve.waiting import wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head of two CPUs, and two nodes of two CPUs, of which one has a label."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.add_node(num_cpus=2, labels={"kind": "large"})
    cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    serve.start(proxy_location="Disabled")
    yield cluster
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(autouse=True)
def _alone(cluster: Cluster) -> Iterator[None]:
    yield
    for name in serve.status().applications:
        serve.delete(name)
    assert rooms() == {}


@ray.remote(num_cpus=1)
class Child:
    def group(self) -> str:
        group = ray.util.get_current_placement_group()
        return "" if group is None else group.id.hex()


@serve.deployment(placement_group_bundles=[{"CPU": 0.5}, {"CPU": 1}], ray_actor_options={"num_cpus": 0.5})
class Placed:
    def __init__(self) -> None:
        self.child = Child.remote()

    async def __call__(self, request: Any = None) -> tuple[str, str, str]:
        group = ray.util.get_current_placement_group()
        assert group is not None
        return serve.get_replica_context().replica_tag, group.id.hex(), await self.child.group.remote()


@serve.deployment
def plain(request: Any = None) -> str:
    return ray.get_runtime_context().get_node_id()


def rooms() -> dict[str, dict[str, Any]]:
    """The placement groups that replicas have, by their names."""
    rows = ray.util.placement_group_table().values()
    return {row["name"]: row for row in rows if row["state"] != "REMOVED" and row["name"].startswith("SERVE_REPLICA::")}


def nodes() -> list[int]:
    """How many replicas the nodes have that have any; the most first."""
    rows = state.list_actors(filters=[("state", "=", "ALIVE")])
    return sorted(Counter(row.node_id for row in rows if row.name.startswith("SERVE_REPLICA::")).values(), reverse=True)


def message() -> str:
    deployments = [one for app in serve.status().applications.values() for one in app.deployments.values()]
    return deployments[0].message if deployments else ""


def test_each_replica_has_a_group_in_which_its_children_run() -> None:
    handle = serve.run(Placed.options(num_replicas=2).bind(), route_prefix=None)
    assert set(rooms()) == set(replica_pids())
    assert all(list(row["bundles"].values()) == [{"CPU": 0.5}, {"CPU": 1}] for row in rooms().values())
    found: set[tuple[str, str]] = set()

    def have_both_answered() -> bool:
        _, own, childs = handle.remote().result(timeout_s=60)
        found.add((own, childs))
        return len(found) == 2

    wait_until(have_both_answered)
    assert all(own == childs for own, childs in found)
    serve.run(Placed.options(num_replicas=1).bind(), route_prefix=None)
    wait_until(lambda: len(rooms()) == 1 and replica_states() == {"Placed": {"RUNNING": 1}})
    serve.delete("default")
    wait_until(lambda: ray.available_resources()["CPU"] == ray.cluster_resources()["CPU"])


def test_a_killed_replica_leaves_no_group() -> None:
    handle = serve.run(Placed.bind(), route_prefix=None)
    (name, pid), *_ = replica_pids().items()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: list(replica_pids()) not in ([], [name]) and set(rooms()) == set(replica_pids()))
    assert handle.remote().result(timeout_s=60)[0] != name


def test_a_killed_controller_keeps_groups_and_removes_them_later() -> None:
    handle = serve.run(Placed.bind(), route_prefix=None)
    before = rooms()
    kill_controller()
    assert handle.remote().result(timeout_s=60)[1] == next(iter(before.values()))["placement_group_id"]
    assert set(rooms()) == set(before)
    serve.delete("default")
    assert rooms() == {}


def test_a_controller_that_is_killed_while_a_group_waits() -> None:
    large = Placed.options(placement_group_bundles=[{"CPU": 64}])
    deploy = Deploy(large.bind(), route_prefix=None, wait_for_resources=True, blocking=False)
    wait_until(lambda: "cannot start" in message())
    kill_controller()
    wait_until(lambda: "cannot start" in message() and len(rooms()) == 1)
    serve.run(Placed.bind(), route_prefix=None)
    deploy.join(60)
    assert deploy.error is None
    wait_until(lambda: set(rooms()) == set(replica_pids()))


def test_other_bundles_are_another_version() -> None:
    serve.run(Placed.bind(), route_prefix=None)
    before = replica_pids()
    serve.run(Placed.options(placement_group_bundles=[{"CPU": 1}, {"CPU": 1}]).bind(), route_prefix=None)
    assert not set(replica_pids()) & set(before)
    wait_until(lambda: set(rooms()) == set(replica_pids()))


def test_labels_of_the_nodes_of_bundles(cluster: Cluster) -> None:
    labelled = plain.options(
        placement_group_bundles=[{"CPU": 1}, {"CPU": 1}], placement_group_bundle_label_selector=[{"kind": "large"}]
    )
    node = serve.run(labelled.bind(), route_prefix=None).remote().result(timeout_s=60)
    large = [row["NodeID"] for row in ray.nodes() if row["Labels"].get("kind") == "large"]
    assert [node] == large
    assert set(next(iter(rooms().values()))["bundles_to_node_id"].values()) == set(large)


def test_strict_spread_takes_a_node_for_each_bundle() -> None:
    spread = plain.options(placement_group_bundles=[{"CPU": 1}] * 3, placement_group_strategy="STRICT_SPREAD")
    serve.run(spread.bind(), route_prefix=None)
    assert len(set(next(iter(rooms().values()))["bundles_to_node_id"].values())) == 3


def test_a_group_that_does_not_fit_is_said_in_five_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"asks for the bundles \[{'CPU': 3}\] of a placement group \(PACK\)"):
        serve.run(plain.options(placement_group_bundles=[{"CPU": 3}]).bind(), route_prefix=None)
    print(f"said after {time.monotonic() - began:.1f} s")
    wait_until(lambda: rooms() == {})
    with pytest.raises(RuntimeError, match=r"on nodes with the labels \[{'kind': 'small'}\]"):
        serve.run(
            plain.options(
                placement_group_bundles=[{"CPU": 1}], placement_group_bundle_label_selector=[{"kind": "small"}]
            ).bind(),
            route_prefix=None,
        )
    wait_until(lambda: rooms() == {})


def test_gangs_reserve_the_bundles_of_all_of_their_replicas() -> None:
    gang = Placed.options(num_replicas=2, gang_scheduling_config={"gang_size": 2})
    handle = serve.run(gang.bind(), route_prefix=None)
    rows = [row for row in ray.util.placement_group_table().values() if row["state"] == "CREATED"]
    assert [list(row["bundles"].values()) for row in rows] == [[{"CPU": 0.5}, {"CPU": 1}] * 2]
    _, own, childs = handle.remote().result(timeout_s=60)
    assert own == childs == rows[0]["placement_group_id"]


@pytest.mark.parametrize(
    ("strategy", "size", "gangs", "on_nodes"),
    [
        ("PACK", 2, 1, [2]),
        ("PACK", 2, 3, [2, 2, 2]),
        ("PACK", 3, 1, [2, 1]),  # more than a node holds: as few nodes as can be
        ("SPREAD", 2, 1, [1, 1]),
        ("SPREAD", 3, 2, [2, 2, 2]),
        ("SPREAD", 4, 1, [2, 1, 1]),  # more than there are nodes
    ],
)
def test_gangs_over_nodes(strategy: str, size: int, gangs: int, on_nodes: list[int]) -> None:
    gang = {"gang_size": size, "gang_placement_strategy": strategy}
    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": 1}, "gang_scheduling_config": gang}
    serve.run(plain.options(num_replicas=size * gangs, **options).bind(), route_prefix=None)
    assert nodes() == on_nodes
    rows = [row for row in ray.util.placement_group_table().values() if row["state"] == "CREATED"]
    assert len(rows) == gangs
    for row in rows:
        of_gang = Counter(row["bundles_to_node_id"].values())
        assert sum(of_gang.values()) == size
        assert len(of_gang) == (1 if strategy == "PACK" and size <= 2 else 2 if strategy == "PACK" else min(size, 3))


def test_a_gang_that_takes_a_lost_ones_place_is_spread_too() -> None:
    gang = {"gang_size": 3, "gang_placement_strategy": "SPREAD"}
    spread = plain.options(num_replicas=3, ray_actor_options={"num_cpus": 1}, gang_scheduling_config=gang)
    serve.run(spread.bind(), route_prefix=None)
    before = replica_pids()
    os.kill(next(iter(before.values())), signal.SIGKILL)
    wait_until(lambda: not set(before) & set(replica_pids()) and replica_states() == {"plain": {"RUNNING": 3}})
    assert nodes() == [1, 1, 1]


@pytest.mark.parametrize("asked", [{}, {"num_cpus": 0.5}])
def test_at_most_so_many_replicas_on_a_node(asked: dict[str, float]) -> None:
    limited = plain.options(ray_actor_options=asked, max_replicas_per_node=1)
    handle = serve.run(limited.options(num_replicas=3).bind(), route_prefix=None)
    assert nodes() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="on a node with less than 1 of them"):
        serve.run(limited.options(num_replicas=4).bind(), route_prefix=None)
    assert handle.remote().result(timeout_s=60)
    wait_until(lambda: nodes() == [1, 1, 1])
    serve.run(limited.options(num_replicas=6, max_replicas_per_node=2).bind(), route_prefix=None)
    assert nodes() == [2, 2, 2]


def test_a_node_that_comes_takes_what_waits(cluster: Cluster) -> None:
    limited = plain.options(num_replicas=4, max_replicas_per_node=1)
    deploy = Deploy(limited.bind(), route_prefix=None, wait_for_resources=True, blocking=False)
    wait_until(lambda: "less than 1 of them" in message() and nodes() == [1, 1, 1])
    kill_controller()
    node = cluster.add_node(num_cpus=1)
    deploy.join(60)
    assert deploy.error is None
    assert nodes() == [1, 1, 1, 1]
    serve.delete("default")
    cluster.remove_node(node)


def test_a_place_that_is_left_is_taken() -> None:
    serve.run(plain.options(num_replicas=3, max_replicas_per_node=1).bind(), route_prefix=None)
    killed, pid = next(iter(replica_pids().items()))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: killed not in replica_pids() and nodes() == [1, 1, 1] and len(rooms()) == 3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"placement_group_bundles": []}, "non-empty list"),
        ({"placement_group_bundles": {"CPU": 1}}, "must be a list"),
        ({"placement_group_bundles": [{"CPU": 1}], "placement_group_strategy": "NEAR"}, "Invalid placement group str"),
        ({"placement_group_strategy": "PACK"}, "needs placement_group_bundles"),
        ({"placement_group_bundle_label_selector": [{"a": "b"}]}, "needs placement_group_bundles"),
        ({"placement_group_bundles": [{"CPU": 1}] * 3, "placement_group_bundle_label_selector": [{}] * 2}, "2 entries"),
        ({"placement_group_bundles": [{"CPU": 1}], "ray_actor_options": {"num_cpus": 2}}, "first bundle holds"),
        ({"placement_group_bundles": [{"CPU": 1}], "ray_actor_options": {"num_gpus": 1}}, "too little of GPU"),
        (
            {
                "placement_group_bundles": [{"CPU": 1}],
                "placement_group_strategy": "PACK",
                "gang_scheduling_config": {"gang_size": 1},
            },
            "exclude each other",
        ),
        ({"max_replicas_per_node": 0}, "from 1 to 100"),
        ({"max_replicas_per_node": 101}, "from 1 to 100"),
        ({"max_replicas_per_node": 1, "placement_group_bundles": [{"CPU": 1}]}, "exclude each other"),
        ({"max_replicas_per_node": 1, "gang_scheduling_config": {"gang_size": 1}}, "exclude each other"),
        ({"max_replicas_per_node": 1, "ray_actor_options": {"fallback_strategy": [{}]}}, "fallback_strategy"),
        ({"max_surge_percent": 1.5}, "from 0 to 1"),
    ],
)
def test_what_is_not_allowed(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        plain.options(**options)


def test_a_number_that_is_none() -> None:
    with pytest.raises(TypeError, match="max_replicas_per_node must be an integer"):
        plain.options(max_replicas_per_node=1.5)
