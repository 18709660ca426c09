"""State of the cluster at the moment: nodes, workers, actors, tasks, objects, placement groups."""

from __future__ import annotations

from ray_async.util.state.exception import RayStateApiException, ServerUnavailable
from ray_async.util.state.listing import (
    get_actor,
    get_node,
    get_objects,
    get_placement_group,
    get_task,
    get_worker,
    list_actors,
    list_nodes,
    list_objects,
    list_placement_groups,
    list_tasks,
    list_workers,
    summarize_actors,
    summarize_objects,
    summarize_tasks,
)
from ray_async.util.state.row import StateRow

__all__ = (
    "RayStateApiException",
    "ServerUnavailable",
    "StateRow",
    "get_actor",
    "get_node",
    "get_objects",
    "get_placement_group",
    "get_task",
    "get_worker",
    "list_actors",
    "list_nodes",
    "list_objects",
    "list_placement_groups",
    "list_tasks",
    "list_workers",
    "summarize_actors",
    "summarize_objects",
    "summarize_tasks",
)
