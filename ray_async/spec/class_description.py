"""Class descriptions: what the tasks of a scheduling class need, want and run in, as bytes that all processes read."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ray_async.spec.placement import Placement

__all__ = ("ClassDescription", "Environment", "canonical")

#: A runtime environment with all that it names packaged, ready for JSON.
Environment = dict[str, Any]


class ClassDescription(NamedTuple):
    """A class of tasks that any worker leased to the class can run.

    Args:
        place: What they hold, and where they may run.
        job: Number of the job.
        env_key: Name of the pool of workers with the right environment.
        runtime_env: That environment; None for the job's own plain workers.
        is_async: Whether a worker runs several at once, on its event loop.
        tasks_per_worker: How many at once.
    """

    place: Placement
    job: int
    env_key: str
    runtime_env: Environment | None = None
    is_async: bool = False
    tasks_per_worker: int = 1

    @property
    def is_plain(self) -> bool:
        """True if every worker of the job can run the tasks, one at a time, on one CPU or none."""
        place = self.place
        return (
            not self.is_async
            and self.runtime_env is None
            and place.resources in ({"CPU": 1}, {})
            and place == Placement(place.resources)
        )

    def encode(self) -> bytes:
        """Canonical bytes: equal descriptions have equal ones."""
        return canonical(self)

    @classmethod
    def decode(cls, data: bytes) -> ClassDescription:
        """Read what `encode` has written.

        Raises:
            TypeError, ValueError: It is something else.
        """
        place, *others = json.loads(data)
        return cls(Placement.restore(place), *others)


def canonical(description: tuple[object, ...]) -> bytes:
    """Bytes of a description, its fields in order: equal descriptions have equal ones."""
    return json.dumps(description, sort_keys=True, separators=(",", ":")).encode()
