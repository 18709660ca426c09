"""Specs of scheduling classes and actors: what the scheduler is asked for."""

from __future__ import annotations

from enum import Enum

from ray_async.frozen import Record
from ray_async.runtime.scheduler.labels import ANY_NODE, LabelSelector
from ray_async.runtime.scheduler.policy.strategies import DEFAULT, Strategy
from ray_async.runtime.scheduler.resources import EMPTY, ResourceSet

__all__ = ("ActorSpec", "ClassSpec", "Requirements", "TaskKind")


class TaskKind(Enum):
    """How a worker runs a class: one task at a time, or several on its event loop."""

    SYNC = "sync"
    ASYNC = "async"


class Requirements(Record):
    """What classes and actors have in common.

    Args:
        resources: held by each lease of the class, or by the actor for its life.
        strategy: which node to choose.
        label_selector: nodes that may be used.
        fallback: selectors to try, in order, when no node of `label_selector` has room.
        placement_group: id of the group whose bundles are used instead of whole nodes; None for none.
        bundle_index: bundle of that group; -1 for any.
        env_key: names the pool of workers with the right environment; "" for the plain one.
    """

    resources: ResourceSet = EMPTY
    strategy: Strategy = DEFAULT
    label_selector: LabelSelector = ANY_NODE
    fallback: tuple[LabelSelector, ...] = ()
    placement_group: str | None = None
    bundle_index: int = -1
    env_key: str = ""


class ClassSpec(Requirements):
    """A scheduling class: tasks that any worker leased to the class can run.

    Args:
        kind: sync or async tasks.
        tasks_per_worker: tasks that one worker takes at once; 1 for sync tasks, for example 100 for async ones.
    """

    kind: TaskKind = TaskKind.SYNC
    tasks_per_worker: int = 1


class ActorSpec(Requirements):
    """An actor: one worker of its own.

    Args:
        placement_resources: a node must have these in total to be chosen, and is preferred while it has them
            free; they are not held. An actor without resource options has `{"CPU": 1}` here and holds nothing.
    """

    placement_resources: ResourceSet = EMPTY
