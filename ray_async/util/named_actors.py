"""The names under which actors can be found.

Request: `list_named_actors` {"all_namespaces": bool} → list of {"name": str, "namespace": str}, living actors
only; of the caller's namespace unless all are asked for.
"""

from __future__ import annotations

from ray_async.util.control import control_session

__all__ = ("list_named_actors",)


def list_named_actors(all_namespaces: bool = False) -> list[str] | list[dict[str, str]]:
    """List the actors that have a name.

    Args:
        all_namespaces: list those of every namespace.

    Returns:
        The names; with `all_namespaces` a dict with "name" and "namespace" for each.

    Example:
        >>> Counter.options(name="counter").remote()
        >>> list_named_actors()
        ['counter']
    """
    found: list[dict[str, str]] = control_session().control("list_named_actors", all_namespaces=all_namespaces)
    return found if all_namespaces else [actor["name"] for actor in found]
