"""Deaths of replicas, as calls to them tell of them."""

from __future__ import annotations

from ray_async.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayTaskError

__all__ = ("DEATHS", "is_death")

DEATHS = (RayActorError, OutOfMemoryError, NodeDiedError)


def is_death(error: BaseException) -> bool:
    """Tell whether an error is an actor's death itself, and not one that the actor's own code has met elsewhere."""
    return isinstance(error, DEATHS) and not isinstance(error, RayTaskError)
