"""Actors, by the import path that programs use; at home in `api.actor`."""

from ray_async.api.actor import (
    ActorClass,
    ActorClassInheritanceException,
    ActorHandle,
    ActorMethod,
    ActorProxy,
    exit_actor,
    method,
    typed,
)

__all__ = (
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "ActorProxy",
    "exit_actor",
    "method",
    "typed",
)
