"""Children of tasks in placement groups that capture them, in workers that ran the same tasks elsewhere before."""

from typing import Any

import ray_async as ray
from ray_async.util.placement_group import placement_group, remove_placement_group
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy


@ray.remote(num_cpus=4)
def where() -> Any:
    return ray.util.get_current_placement_group()


@ray.remote(num_cpus=4)
def parent() -> Any:
    return ray.get(where.remote())


def test_a_worker_that_changes_groups_takes_its_children_along() -> None:
    assert ray.get(parent.remote(), timeout=60) is None
    # All CPUs, so that the workers are those of the tasks before.
    group = placement_group([{"CPU": 4}])
    captured = parent.options(
        scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_capture_child_tasks=True)
    )
    assert ray.get(captured.remote(), timeout=60) == group
    remove_placement_group(group)
    assert ray.get(parent.remote(), timeout=60) is None
