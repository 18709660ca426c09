"""Functions that are given to datasets: checked, and put together with where they run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ray_async as ray
from ray_async.data.compute import ActorPoolStrategy, Resources, TaskPoolStrategy
from ray_async.data.operators.function import UserFunction

__all__ = ("ComputeArgument", "user_function")

ComputeArgument = TaskPoolStrategy | ActorPoolStrategy | None


def user_function(
    fn: Any,
    kind: str,
    *,
    compute: ComputeArgument = None,
    fn_args: Iterable[Any] | None = None,
    fn_kwargs: Mapping[str, Any] | None = None,
    fn_constructor_args: Iterable[Any] | None = None,
    fn_constructor_kwargs: Mapping[str, Any] | None = None,
    concurrency: int | tuple[int, ...] | None = None,
    options_function: Callable[[], Mapping[str, Any]] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[UserFunction, Resources]:
    """A function or class with its arguments, and what each call needs.

    Raises:
        TypeError: It is nothing that can be called.
        ValueError: A function with constructor arguments or a pool of actors, a class with tasks, a concurrency that
            is not positive, or an option that tasks or actors do not have.
    """
    if not callable(fn):
        raise TypeError(f"{kind} needs a function or a class whose instances can be called, but got {fn!r}")
    is_class = inspect.isclass(fn)
    if is_class and not callable(getattr(fn, "__call__", None)):  # noqa: B004 - of instances, not of the class
        raise ValueError(f"{fn.__name__} needs a method __call__ to be given to {kind.lower()}")
    if not is_class and (fn_constructor_args is not None or fn_constructor_kwargs is not None):
        raise ValueError(f"fn_constructor_args and fn_constructor_kwargs need a class, but {_name(fn)} is a function")
    strategy = _strategy(fn, is_class, compute, concurrency)
    at_once = strategy.max_concurrent_calls_per_actor if isinstance(strategy, ActorPoolStrategy) else None
    function = UserFunction(
        fn,
        f"{kind}({_name(fn)})",
        tuple(fn_args or ()),
        dict(fn_kwargs or {}),
        tuple(fn_constructor_args or ()),
        dict(fn_constructor_kwargs or {}),
        at_once or 100,
    )
    given = {name: value for name, value in (options or {}).items() if value is not None}
    _check_options(given, pool=isinstance(strategy, ActorPoolStrategy))
    return function, Resources(strategy, given, options_function)


def _check_options(options: Mapping[str, Any], *, pool: bool) -> None:
    """Refuse options that the stage's tasks or actors could not have; at once, and not when the dataset is run."""
    if not options:
        return
    if pool:
        ray.remote(_Actor).options(**{**options, "num_cpus": 0})
    else:
        ray.remote(_task).options(**options)


def _task() -> None:
    """A task of which only the options matter."""


class _Actor:
    """An actor of which only the options matter."""


def _name(fn: Any) -> str:
    return getattr(fn, "__name__", None) or getattr(getattr(fn, "func", None), "__name__", None) or type(fn).__name__


def _strategy(fn: Any, is_class: bool, compute: ComputeArgument, concurrency: Any) -> ComputeArgument:
    if compute is not None and not isinstance(compute, (TaskPoolStrategy, ActorPoolStrategy)):
        raise ValueError(f"compute must be a TaskPoolStrategy or an ActorPoolStrategy, but is {compute!r}")
    if compute is not None and concurrency is not None:
        raise ValueError("give either compute or concurrency")
    if compute is None:
        compute = _of_concurrency(fn, is_class, concurrency)
    if is_class and isinstance(compute, TaskPoolStrategy):
        raise ValueError(f"``compute`` must be an ActorPoolStrategy for the class {_name(fn)}")
    if not is_class and isinstance(compute, ActorPoolStrategy):
        raise ValueError(f"``compute`` must be a TaskPoolStrategy for the function {_name(fn)}")
    return compute


def _of_concurrency(fn: Any, is_class: bool, concurrency: Any) -> ComputeArgument:
    if concurrency is None:
        return ActorPoolStrategy() if is_class else None
    if isinstance(concurrency, tuple):
        if not is_class:
            raise ValueError(f"``concurrency`` must be an integer for the function {_name(fn)}, but is {concurrency}")
        if len(concurrency) not in (2, 3) or not all(isinstance(number, int) for number in concurrency):
            raise ValueError(f"``concurrency`` must be (min, max) or (min, max, initial), but is {concurrency}")
        initial = concurrency[2] if len(concurrency) == 3 else None
        return ActorPoolStrategy(min_size=concurrency[0], max_size=concurrency[1], initial_size=initial)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ValueError(f"``concurrency`` must be a positive integer or a tuple, but is {concurrency!r}")
    return ActorPoolStrategy(size=concurrency) if is_class else TaskPoolStrategy(concurrency)
