"""Remains of Serve in its folder, and of its actors, when it has ended or was killed, and their removal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray_async as ray
from ray_async.serve.names import NAMESPACE

__all__ = ("clear", "end_actors")

_FILES = (
    "board",
    "table.*",
    "journal*",
    "spec-*",
    "grpc-port",
    "models-*",
    "stack-*",
    "waiting-*",
    "*.sock",
    "telemetry.*",
    "metrics/*",
    "rest-token",
)


def clear(folder: Path) -> None:
    """Remove all that Serve has written; nobody must need it any more."""
    for pattern in _FILES:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def end_actors(wanted: Callable[[str], bool]) -> None:
    """End actors of Serve's.

    Args:
        wanted: Tells by the name of one whether to end it.
    """
    actors: Any = ray.util.list_named_actors(all_namespaces=True)
    for actor in actors:
        if actor["namespace"] == NAMESPACE and wanted(actor["name"]):
            with contextlib.suppress(ValueError):  # it has ended by itself meanwhile
                ray.kill(ray.get_actor(actor["name"], namespace=NAMESPACE))
