"""Termination: ending actors and cancelling tasks."""

from __future__ import annotations

from typing import Any

from ray_async.api.actor import ActorHandle
from ray_async.api.object_ref import ObjectRef, ObjectRefGenerator
from ray_async.engine.current import get_session

__all__ = ("cancel", "kill")


def kill(actor: ActorHandle[Any], *, no_restart: bool = True) -> None:
    """End an actor's process at once; calls that are running or queued fail with `ActorDiedError`.

    Args:
        actor: A handle.
        no_restart: Whether ``max_restarts`` is ignored.

    Raises:
        ValueError: Not a handle, or one of another session (`ActorHandleNotFoundError`).

    Example:
        >>> ray.kill(counter)
    """
    if not isinstance(actor, ActorHandle):
        raise ValueError(f"kill() is supported for actors only, with their handle. Got: {type(actor)}.")
    get_session().kill_actor(actor._ray_core, no_restart)


def cancel(
    ray_waitable: ObjectRef[Any] | ObjectRefGenerator[Any], *, force: bool = False, recursive: bool = True
) -> None:
    """Cancel a task; returns at once. A task that is finished stays as it is.

    A queued task is dropped. In a running one KeyboardInterrupt is raised; in an asynchronous one its coroutine is
    cancelled. `get` then raises `TaskCancelledError`, also when the task comes to its end before it is interrupted:
    nothing that the caller does after this call comes before the cancel. Cancelled tasks are not retried.

    Args:
        ray_waitable: A reference that the task returns, or its generator.
        force: Kill the worker. Not for calls of actors.
        recursive: Cancel the tasks that it started too.

    Raises:
        TypeError: Not a reference.
        ValueError: ``force`` for a call of an actor.

    Example:
        >>> ray.cancel(ref)
    """
    if not isinstance(ray_waitable, (ObjectRef, ObjectRefGenerator)):
        raise TypeError(
            f"cancel() is only supported for object refs and generators of them. Got: {type(ray_waitable)}."
        )
    get_session().cancel(ray_waitable, force, recursive)
