"""Waiting for what another process brings about."""

from collections.abc import Callable
from typing import Any

import ray_async as ray
from ray_async.serve.handle.client import get_client
from ray_async.serve.names import REPLICA_PREFIX
from tests.resources import wait_until as poll_until

__all__ = ("ongoing", "replicas", "wait_until")


def wait_until(predicate: Callable[[], object], timeout: float = 60) -> None:
    """Poll until the predicate is true; fail when time is up."""
    poll_until(predicate, timeout)


def replicas() -> set[str]:
    """The names of the actors that are replicas."""
    actors: Any = ray.util.list_named_actors(all_namespaces=True)
    return {actor["name"] for actor in actors if actor["name"].startswith(REPLICA_PREFIX)}


def ongoing() -> int:
    """The requests that all replicas work on."""
    client = get_client()
    deployments = client.table()["deployments"].values()
    return sum(client.board.ongoing(slot) for entry in deployments for _, _, slot in entry["replicas"])
