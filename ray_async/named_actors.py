"""Named actors: looking them up."""

from __future__ import annotations

from typing import Any

from ray_async.actor import ActorHandle
from ray_async.job_config import check_namespace
from ray_async.runtime.current import get_session

__all__ = ("get_actor",)


def get_actor(name: str, namespace: str | None = None) -> ActorHandle[Any]:
    """Find an actor by its name.

    Args:
        name: The name it was created with.
        namespace: Where to look; None is the job's own.

    Returns:
        A handle to it.

    Raises:
        TypeError: A namespace that is not a string.
        ValueError: An empty name or namespace, or no living actor of that name.

    Example:
        >>> counter = ray.get_actor("counter")
    """
    if not (name and str(name).strip()):
        raise ValueError("Please supply a non-empty value to get_actor")
    return ActorHandle(*get_session().get_actor(name, check_namespace(namespace)))
