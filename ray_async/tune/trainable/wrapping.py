"""Wrapping of trainables: with large objects that all trials share, and with what a trial takes."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import ray_async as ray
from ray_async.tune.placement_groups import PlacementGroupFactory, resource_dict_to_pg_factory
from ray_async.tune.trainable.resolving import callable_resources
from ray_async.tune.trainable.trainable import Trainable

__all__ = ("with_parameters", "with_resources")


class _WithParameters:
    """A function with keyword arguments that lie in the store.

    Args:
        function: The function.
        references: References to the arguments, by name.
    """

    def __init__(self, function: Callable[..., Any], references: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._references = dict(references)
        del self.__dict__["__wrapped__"]  # its signature is another one

    def __call__(self, config: dict[str, Any]) -> Any:
        values = dict(zip(self._references, ray.get(list(self._references.values())), strict=True))
        return self._function(config, **values)


def with_parameters(trainable: Any, **kwargs: Any) -> Any:
    """A trainable that gets large objects beside its config; they are stored once for all trials.

    Args:
        trainable: A function of a config and of keyword arguments, or a Trainable class whose `setup` takes these.
        kwargs: The objects. Arrays and the like are read-only views in the trials.

    Raises:
        ValueError: No function and no Trainable class.

    Example:
        >>> def train(config, data):
        ...     return {"size": len(data)}
        >>> tuned = with_parameters(train, data=list(range(1000)))
    """
    if not callable(trainable) or (inspect.isclass(trainable) and not issubclass(trainable, Trainable)):
        raise ValueError(f"with_parameters takes a function or a Trainable class, but got {trainable!r}")
    references = {name: ray.put(value) for name, value in kwargs.items()}
    if not inspect.isclass(trainable):
        wrapped: Any = _WithParameters(trainable, references)
    else:
        base: Any = trainable

        class WithParameters(base):  # type: ignore[misc]
            def setup(self, config: dict[str, Any]) -> None:
                values = dict(zip(references, ray.get(list(references.values())), strict=True))
                super().setup(config, **values)

        WithParameters.__name__ = trainable.__name__
        WithParameters.__qualname__ = trainable.__qualname__
        wrapped = WithParameters
    if hasattr(trainable, "_tune_resources"):
        wrapped._tune_resources = trainable._tune_resources
    return wrapped


def with_resources(trainable: Any, resources: Any) -> Any:
    """A trainable whose trials take certain resources.

    Args:
        trainable: A function, a Trainable class or what `with_parameters` gives.
        resources: A dict such as ``{"cpu": 2, "gpu": 0.5}``, a `PlacementGroupFactory`, or a function of the config
            that returns one of these.

    Raises:
        ValueError: Resources of another kind, or a trainer, whose resources its `ScalingConfig` says.

    Example:
        >>> tuned = with_resources(lambda config: {"loss": 1}, {"cpu": 2})
    """
    if hasattr(trainable, "as_trainable"):
        raise ValueError(
            f"what the workers of {type(trainable).__name__} take is said by its ScalingConfig: num_workers, "
            "resources_per_worker and trainer_resources"
        )
    if not callable_resources(resources) and not isinstance(resources, (Mapping, PlacementGroupFactory)):
        raise ValueError(f"resources are a dict, a PlacementGroupFactory or a function, but got {resources!r}")
    if isinstance(resources, Mapping):
        resources = resource_dict_to_pg_factory(resources)
    if inspect.isclass(trainable):
        wrapped: Any = type(trainable.__name__, (trainable,), {"__module__": trainable.__module__})
    elif isinstance(trainable, _WithParameters):
        wrapped = copy.copy(trainable)
    else:
        wrapped = _WithParameters(trainable, {})
    wrapped._tune_resources = resources
    return wrapped
