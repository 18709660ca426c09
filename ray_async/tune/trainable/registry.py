"""Registry: trainables and environments by name, in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ray_async.tune.error import TuneError

__all__ = ("register_env", "register_trainable", "registered_env", "registered_trainable")

_trainables: dict[str, Any] = {}
_environments: dict[str, Callable[..., Any]] = {}
_logger = logging.getLogger("ray_async.tune")


def register_trainable(name: str, trainable: Any, warn: bool = True) -> None:
    """Give a trainable a name, for `Tuner` and `run` to take in its place.

    Args:
        name: The name.
        trainable: A function of a config, or a Trainable class.
        warn: Whether a name that is taken already is logged.

    Raises:
        TypeError: No function and no class.
    """
    if not callable(trainable):
        raise TypeError(f"a trainable is a function or a class, but got {trainable!r}")
    if warn and name in _trainables and _trainables[name] is not trainable:
        _logger.warning("the trainable %r was registered before: it is replaced", name)
    _trainables[name] = trainable


def registered_trainable(name: str) -> Any:
    """The trainable of a name.

    Args:
        name: The name.

    Raises:
        TuneError: None has it.
    """
    if name not in _trainables:
        raise TuneError(f"no trainable is registered as {name!r}; registered are {sorted(_trainables)}")
    return _trainables[name]


def register_env(name: str, env_creator: Callable[..., Any]) -> None:
    """Give a function that makes environments a name.

    Args:
        name: The name.
        env_creator: The function.

    Raises:
        TypeError: No function.
    """
    if not callable(env_creator):
        raise TypeError(f"env_creator is a function, but got {env_creator!r}")
    _environments[name] = env_creator


def registered_env(name: str) -> Callable[..., Any]:
    """The function that makes environments of a name.

    Args:
        name: The name.

    Raises:
        TuneError: None has it.
    """
    if name not in _environments:
        raise TuneError(f"no environment is registered as {name!r}")
    return _environments[name]
