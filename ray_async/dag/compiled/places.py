"""Places of a compiled graph's actors: its channels are shared memory, so all of them have to be on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray_async import exceptions as errors
from ray_async.dag.compiled.plan import ActorPlan
from ray_async.spec.descriptors import BUILTIN_METHODS
from ray_async.spec.method_options import MethodOptions

__all__ = ("check_places",)


def check_places(session: Any, actors: Sequence[ActorPlan]) -> None:
    """Check that actors live on this machine; one that may find its place on another one is waited for.

    Args:
        session: The session.
        actors: Of the graph.

    Raises:
        ValueError: An actor lives on another machine.
    """
    for actor in actors:
        place = session.is_elsewhere(actor.core)
        if place is None:
            _wait_for(session, actor.core)
            place = session.is_elsewhere(actor.core)
        if place:
            raise ValueError(
                f"The actor {actor.core.actor_id.hex()} lives on another machine of the cluster, and values of a "
                "compiled graph go through the shared memory of one machine. Create its actors on the machine where "
                "the graph is compiled, or execute the graph without compiling it."
            )


def _wait_for(session: Any, core: Any) -> None:
    """Wait until an actor is there, or has failed, which the graph itself tells of."""
    ready = session.actor_template(core, BUILTIN_METHODS["__ray_ready__"], MethodOptions())((), None)
    try:
        session.get([ready], None)
    except errors.RayError:
        return
