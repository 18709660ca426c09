"""Named actors: looking them up."""

from __future__ import annotations

from typing import Any

from ray_async.api.actor import ActorHandle
from ray_async.engine.current import get_session
from ray_async.spec.job_config import check_namespace

__all__ = ("get_actor", "list_named_actors")


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


def list_named_actors(all_namespaces: bool = False) -> list[str] | list[dict[str, str]]:
    """The living actors that have a name.

    Args:
        all_namespaces: Those of every namespace, rather than those of the job's own.

    Returns:
        Their names; with `all_namespaces`, mappings of ``name`` and ``namespace``.

    Example:
        >>> ray.util.list_named_actors(all_namespaces=True)
        [{'name': 'counter', 'namespace': 'default'}]
    """
    found = get_session().list_named_actors(all_namespaces)
    return found if all_namespaces else [actor["name"] for actor in found]
