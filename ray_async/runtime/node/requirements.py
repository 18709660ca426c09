"""Requirements of classes and actors: the scheduler's terms for what their descriptions say."""

from __future__ import annotations

from ray_async.runtime.scheduler.labels import LABEL_OPERATORS, LabelOperator, LabelSelector
from ray_async.runtime.scheduler.policy import strategies
from ray_async.runtime.scheduler.resources import ResourceSet
from ray_async.runtime.scheduler.specs import ActorSpec, ClassSpec, Requirements, TaskKind
from ray_async.spec.actor_description import ActorDescription
from ray_async.spec.class_description import ClassDescription
from ray_async.spec.placement import Labels, NodeChoice, Placement

__all__ = ("actor_spec", "class_spec")


def class_spec(description: ClassDescription) -> ClassSpec:
    """What the scheduler knows of a class.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: a field has a value that no description has.
    """
    kind = TaskKind.ASYNC if description.is_async else TaskKind.SYNC
    wants = _requirements(description.place, description.env_key).as_dict()
    return ClassSpec(kind=kind, tasks_per_worker=int(description.tasks_per_worker), **wants)


def actor_spec(description: ActorDescription) -> ActorSpec:
    """What the scheduler knows of an actor.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: a field has a value that no description has.
    """
    placing = ResourceSet.of(description.placement_resources)
    return ActorSpec(placement_resources=placing, **_requirements(description.place, description.env_key).as_dict())


def _requirements(place: Placement, env_key: str) -> Requirements:
    return Requirements(
        resources=ResourceSet.of({str(kind): float(amount) for kind, amount in place.resources.items()}),
        strategy=_strategy(place.choice),
        label_selector=LabelSelector.parse(place.labels or {}),
        fallback=tuple(LabelSelector.parse(step) for step in place.fallback or ()),
        placement_group=place.group,
        bundle_index=int(place.bundle),
        env_key=str(env_key),
    )


def _strategy(choice: NodeChoice | None) -> strategies.Strategy:
    if choice is None:
        return strategies.DEFAULT
    if choice.kind == "spread":
        return strategies.SPREAD
    if choice.kind in ("affinity", "guest"):
        return strategies.NodeAffinity(str(choice.node), bool(choice.soft), bool(choice.spill), bool(choice.fail))
    if choice.kind == "label":
        return strategies.NodeLabel(_selector(choice.hard), _selector(choice.preferred))
    raise ValueError(f"there is no strategy {choice.kind!r}")


def _selector(conditions: Labels | None) -> LabelSelector:
    found: dict[str, LabelOperator] = {}
    for key, (name, values) in (conditions or {}).items():
        kind = LABEL_OPERATORS[name]
        found[key] = kind(tuple(values)) if values else kind()
    return LabelSelector.of(found)
