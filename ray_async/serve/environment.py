"""Runtime environments in Serve: how those of several levels are put together, and which a config may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.runtime_env import RuntimeEnv

__all__ = ("check_remote", "merged_environment")


def merged_environment(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """An environment over another one: its fields replace those, and variables one by one.

    Args:
        shared: The environment below.
        own: The environment above.
    """
    merged = {**shared, **own}
    if shared.get("env_vars") and own.get("env_vars"):
        merged["env_vars"] = {**shared["env_vars"], **own["env_vars"]}
    return merged


def check_remote(environment: Mapping[str, Any]) -> None:
    """Check an environment of a config, which may be read on another machine than it was written on.

    Raises:
        TypeError: A field of the wrong type.
        ValueError: A field that is not allowed, or code that is not named by a URI.
    """
    modules = environment.get("py_modules") or []
    working = environment.get("working_dir")
    named = [("working_dir", working)] if working else []
    named += [("py_modules", module) for module in modules] if isinstance(modules, list) else []
    for field, place in named:
        if not isinstance(place, str) or "://" not in place:
            raise ValueError(f"{field}: a config may name remote URIs only, not {place!r}")
    RuntimeEnv(**environment)
