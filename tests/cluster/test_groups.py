"""Placement groups whose bundles lie on several nodes."""

from typing import Any

import pytest

import ray_async as ray
from ray_async.util import placement_group, placement_group_table, remove_placement_group
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.cluster.hosts import Hosts
from tests.resources import wait_until

CPU = {"CPU": 1}


@ray.remote(num_cpus=1)
def where() -> str:
    return ray.get_runtime_context().get_node_id()


@ray.remote(num_cpus=1)
class Actor:
    def where(self) -> str:
        return ray.get_runtime_context().get_node_id()


def nodes_of(group: Any) -> list[str]:
    return list(placement_group_table(group)["bundles_to_node_id"].values())


def in_bundle(group: Any, index: int) -> PlacementGroupSchedulingStrategy:
    return PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_SPREAD"])
def test_bundles_on_two_nodes(two_hosts: Hosts, strategy: str) -> None:
    n_bundles = 2 if strategy == "STRICT_SPREAD" else 3  # there are three CPUs, one of them on the first node
    group = placement_group([CPU] * n_bundles, strategy=strategy)
    ray.get(group.ready())
    nodes = nodes_of(group)
    assert set(nodes) == {two_hosts.id_of(node) for node in two_hosts.nodes}
    refs = [where.options(scheduling_strategy=in_bundle(group, index)).remote() for index in range(n_bundles)]
    assert ray.get(refs) == nodes
    actors = [Actor.options(scheduling_strategy=in_bundle(group, index)).remote() for index in range(n_bundles)]
    assert ray.get([actor.where.remote() for actor in actors]) == nodes
    del actors
    remove_placement_group(group)
    wait_until(lambda: ray.available_resources().get("CPU") == 3)


def test_bundles_that_have_to_be_together_go_where_there_is_room(two_hosts: Hosts) -> None:
    group = placement_group([CPU] * 2, strategy="STRICT_PACK")
    ray.get(group.ready())
    assert nodes_of(group) == [two_hosts.id_of(two_hosts.nodes[1])] * 2
    anywhere = PlacementGroupSchedulingStrategy(group)
    assert set(ray.get([where.options(scheduling_strategy=anywhere).remote() for _ in range(8)])) == set(
        nodes_of(group)
    )
    remove_placement_group(group)
    wait_until(lambda: ray.available_resources().get("CPU") == 3)


def test_a_group_that_fits_here_stays_here(two_hosts: Hosts) -> None:
    group = placement_group([CPU])
    ray.get(group.ready())
    assert nodes_of(group) == [two_hosts.id_of(two_hosts.first)]
    remove_placement_group(group)


def test_tasks_in_a_bundle_elsewhere_use_its_group(two_hosts: Hosts) -> None:
    @ray.remote(num_cpus=0)
    def look(group: Any) -> tuple[list[str], list[str], str]:
        ray.get(group.ready())
        refs = [where.options(scheduling_strategy=in_bundle(group, index)).remote() for index in range(2)]
        return ray.get(refs), nodes_of(group), ray.util.get_placement_group("spread").id.hex()

    group = placement_group([CPU] * 2, strategy="STRICT_SPREAD", name="spread")
    ray.get(group.ready())
    far = nodes_of(group).index(two_hosts.id_of(two_hosts.nodes[1]))
    found = ray.get(look.options(scheduling_strategy=in_bundle(group, far)).remote(group))
    assert found == (nodes_of(group), nodes_of(group), group.id.hex())
    remove_placement_group(group)


def test_a_group_that_is_removed_takes_what_runs_in_it_along(two_hosts: Hosts) -> None:
    group = placement_group([CPU] * 2, strategy="STRICT_SPREAD")
    ray.get(group.ready())
    far = nodes_of(group).index(two_hosts.id_of(two_hosts.nodes[1]))
    actor = Actor.options(scheduling_strategy=in_bundle(group, far)).remote()
    ray.get(actor.where.remote())
    remove_placement_group(group)
    with pytest.raises(ray.exceptions.RayActorError):
        while True:
            ray.get(actor.where.remote())
