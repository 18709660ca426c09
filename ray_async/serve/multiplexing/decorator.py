"""The decorator `multiplexed`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from ray_async.serve.multiplexing.models import Models

__all__ = ("is_multiplexed", "multiplexed")

_MULTIPLEXED = "_serve_multiplexed"  # an attribute of such functions


@overload
def multiplexed(function: Callable[..., Any], /) -> Any: ...


@overload
def multiplexed(*, max_num_models_per_replica: int = 3) -> Callable[[Callable[..., Any]], Any]: ...


def multiplexed(function: Callable[..., Any] | None = None, /, max_num_models_per_replica: int = 3) -> Any:
    """Keep the models that a function has loaded; works with and without arguments.

    Each model is loaded once, however many ask for it meanwhile. Where there is no room, the one that was used least
    recently goes, and its ``__del__`` is run: an async one before the next model is loaded, a sync one by Python, once
    no request uses the model any more. Requests for a model go to replicas that have it, if one of them is free.

    Args:
        function: An async function or method that takes a model's id and loads it.
        max_num_models_per_replica: The most models of a replica, those that are being loaded included; -1: any number.

    Raises:
        TypeError: Not an async function of one argument, or a number that is none.
        ValueError: A number that is neither positive nor -1.

    Example:
        >>> @serve.multiplexed(max_num_models_per_replica=2)
        ... async def get_model(self, model_id: str):
        ...     return await load(model_id)
    """
    limit = max_num_models_per_replica
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"max_num_models_per_replica must be an integer, but is {limit!r}")
    if limit < 1 and limit != -1:
        raise ValueError(f"max_num_models_per_replica must be positive, or -1 for any number, but is {limit}")

    def decorate(target: Callable[..., Any]) -> Any:
        if not inspect.iscoroutinefunction(target):
            raise TypeError(f"@serve.multiplexed is for async functions and methods, not for {target!r}")
        return _wrapped(Multiplexed(target, limit))

    return decorate if function is None else decorate(function)


class Multiplexed:
    """A function whose models are kept, for each object that it belongs to.

    Args:
        function: Loads a model.
        limit: The most models; -1: any number.

    Raises:
        TypeError: It does not take exactly one argument.
    """

    def __init__(self, function: Callable[..., Any], limit: int) -> None:
        self._function = function
        self._limit = limit
        home = function.__qualname__.rpartition(".")[0]
        is_method = bool(home) and not home.endswith("<locals>")
        count = len(inspect.signature(function).parameters) - is_method
        if count != 1:
            raise TypeError(f"a multiplexed function takes one argument, the model's id; {function!r} takes {count}")
        self._is_method = is_method
        self._own: Models | None = None

    def __reduce__(self) -> Any:
        return Multiplexed, (self._function, self._limit)

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        """Give a model.

        Raises:
            TypeError: The id is no string.
            ValueError: The id is empty.
        """
        owner, values = (args[0], args[1:]) if self._is_method else (None, args)
        values = (*values, *kwargs.values())
        if len(values) != 1 or not isinstance(values[0], str):
            raise TypeError(f"a model is asked for by one argument, its id, which is a string; got {values}")
        if not values[0]:
            raise ValueError("The model's id is empty: the request names no model.")
        return await self._models(owner).get(values[0])

    def _models(self, owner: Any) -> Models:
        if owner is None:
            if self._own is None:
                self._own = Models(self._function, self._limit)
            return self._own
        key = f"_serve_models:{self._function.__qualname__}"
        models: Models | None = vars(owner).get(key)
        if models is None:
            models = vars(owner)[key] = Models(functools.partial(self._function, owner), self._limit)
        return models


def _wrapped(models: Multiplexed) -> Any:
    # It travels by value with the user's class, and refers to nothing of this module.
    @functools.wraps(models._function)
    async def get(*args: Any, **kwargs: Any) -> Any:
        return await models.get(*args, **kwargs)

    wrapper: Any = get
    setattr(wrapper, _MULTIPLEXED, True)
    return wrapper


def is_multiplexed(cls: type) -> bool:
    """Whether a class has a multiplexed method."""
    return any(hasattr(value, _MULTIPLEXED) for base in cls.__mro__ for value in vars(base).values())
