"""Actor descriptions: what an actor needs, what it is called and how it runs, as bytes that all processes read."""

from __future__ import annotations

import json
from typing import NamedTuple

from ray_async.spec.class_description import Environment, canonical
from ray_async.spec.placement import Placement

__all__ = ("ActorDescription",)


class ActorDescription(NamedTuple):
    """An actor as its creator wants it.

    Args:
        place: What it holds for its life, and where it may run.
        placement_resources: Quantities that must be free to place it.
        job: Number of the job.
        env_key: Name of the pool of workers with the right environment.
        runtime_env: That environment; None for the job's own plain workers.
        class_name, module: Its class.
        name: Its name, "" for none.
        namespace: Where it has the name.
        detached: Whether it outlives its creator.
        owner: Id of the worker that it ends with unless it is detached, in hexadecimal digits; "" for a driver.
        max_restarts: Restarts after a death; -1 has no limit.
        max_task_retries: Retries of calls across restarts; -1 has no limit.
        max_concurrency: Calls without a group that run at once.
        max_pending_calls: Calls that one process may have outstanding; -1 has no limit.
        concurrency_groups: Calls that run at once, by group.
        is_async: Whether the methods run on an event loop.
        run_in_thread: Whether the sync methods of an async actor run in threads instead of on its loop.
        ordered: Whether calls of one caller run in the order in which they were made.
        backpressure: Unread objects at which its generators pause; 0 and -1 have no limit.
        enable_task_events: Whether its calls appear in listings and timelines.
        own_labels: Labels of the actor itself, for listings.
    """

    place: Placement
    placement_resources: dict[str, float]
    job: int
    env_key: str
    runtime_env: Environment | None
    class_name: str
    module: str
    name: str
    namespace: str
    detached: bool
    owner: str
    max_restarts: int
    max_task_retries: int
    max_concurrency: int
    max_pending_calls: int
    concurrency_groups: dict[str, int]
    is_async: bool
    run_in_thread: bool
    ordered: bool
    backpressure: int
    enable_task_events: bool
    own_labels: dict[str, str]

    def encode(self) -> bytes:
        """Bytes that `decode` reads."""
        return canonical(self)

    @classmethod
    def decode(cls, data: bytes) -> ActorDescription:
        """Read what `encode` has written.

        Raises:
            TypeError, ValueError: It is something else.
        """
        place, *others = json.loads(data)
        return cls(Placement.restore(place), *others)
