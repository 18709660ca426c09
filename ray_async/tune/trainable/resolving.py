"""Resolving of trainables: what a user gives as one, checked, with its name and what it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ray_async.tune.error import TuneError
from ray_async.tune.placement_groups import PlacementGroupFactory, resource_dict_to_pg_factory
from ray_async.tune.trainable.registry import registered_trainable
from ray_async.tune.trainable.trainable import Trainable

__all__ = ("resolve", "resources_of", "trainable_name")


def resolve(trainable: Any) -> Any:
    """A function or class that can be run.

    Args:
        trainable: A function of a config, a subclass of `Trainable`, a registered name, or a trainer.

    Raises:
        TuneError: Nothing of these.
        ValueError: A function that takes something else than a config.
    """
    if trainable is None:
        raise TuneError("Tuner needs a trainable: a function of a config, a Trainable class, or a registered name")
    if isinstance(trainable, str):
        return registered_trainable(trainable)
    if hasattr(trainable, "as_trainable"):
        return trainable.as_trainable()
    if inspect.isclass(trainable):
        if not issubclass(trainable, Trainable):
            raise TuneError(f"a class that is tuned is a subclass of tune.Trainable, but got {trainable!r}")
        return trainable
    if not callable(trainable):
        raise TuneError(f"a trainable is a function, a Trainable class or a registered name, but got {trainable!r}")
    _check_signature(trainable)
    return trainable


def _check_signature(function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin: whether it takes a config is seen when it is called
        return
    try:
        signature.bind({})
    except TypeError:
        raise ValueError(
            f"a function that is tuned takes exactly one positional argument, the config, but "
            f"{trainable_name(function)} takes {signature}"
        ) from None


def trainable_name(trainable: Any) -> str:
    """The name of a trainable in names of trials and directories.

    Args:
        trainable: The trainable, or a registered name.
    """
    if isinstance(trainable, str):
        return trainable
    inner = getattr(trainable, "func", trainable) if not hasattr(trainable, "__name__") else trainable
    name = str(getattr(inner, "__name__", type(inner).__name__))
    return name if name.isidentifier() else "lambda"


def resources_of(trainable: Any, given: Any) -> Callable[[dict[str, Any]], PlacementGroupFactory]:
    """A function that tells what a trial takes.

    Args:
        trainable: The trainable.
        given: What the user has said for this search: a dict, a factory, a function of the config, or None.
    """
    wanted = given if given is not None else getattr(trainable, "_tune_resources", None)
    default: PlacementGroupFactory | None = None
    by_class = inspect.isclass(trainable) and issubclass(trainable, Trainable)
    if (wanted is not None and not callable_resources(wanted)) or (wanted is None and not by_class):
        # One for all trials.
        default = resource_dict_to_pg_factory(wanted)

    def resources(config: dict[str, Any]) -> PlacementGroupFactory:
        if default is not None:
            return default
        if wanted is not None:
            return resource_dict_to_pg_factory(wanted(config))
        return resource_dict_to_pg_factory(trainable.default_resource_request(config))

    return resources


def callable_resources(wanted: Any) -> bool:
    """Tell whether resources are given by a function of the config."""
    return callable(wanted) and not isinstance(wanted, PlacementGroupFactory)
