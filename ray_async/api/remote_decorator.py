"""The ``remote`` decorator: functions become tasks, classes become actors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from ray_async.api.actor import ActorClass
from ray_async.api.remote_function import RemoteFunction
from ray_async.spec.descriptors import is_generator_callable, is_plain_function

if TYPE_CHECKING:
    from ray_async.api.object_ref import ObjectRef, ObjectRefGenerator
    from ray_async.spec.option_types import RemoteKeywords

__all__ = ("remote",)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class _Decorator(Protocol):
    """What ``remote(**options)`` gives."""

    @overload
    def __call__(self, target: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, target: Callable[P, Coroutine[Any, Any, R]], /) -> RemoteFunction[P, ObjectRef[R]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, target: Callable[P, Iterator[R] | AsyncIterator[R]], /
    ) -> RemoteFunction[P, ObjectRefGenerator[R]]: ...
    @overload
    def __call__(self, target: Callable[P, R], /) -> RemoteFunction[P, ObjectRef[R]]: ...


class _CountDecorator(Protocol):
    """What ``remote(num_returns=...)`` gives: the count decides what calls return, which types cannot follow."""

    @overload
    def __call__(self, target: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, target: Callable[P, Any], /) -> RemoteFunction[P, Any]: ...


@overload
def remote(target: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap]
@overload
def remote(target: Callable[P, Coroutine[Any, Any, R]], /) -> RemoteFunction[P, ObjectRef[R]]: ...
@overload
def remote(  # type: ignore[overload-overlap]
    target: Callable[P, Generator[R, Any, Any] | Iterator[R]], /
) -> RemoteFunction[P, ObjectRefGenerator[R]]: ...
@overload
def remote(  # type: ignore[overload-overlap]
    target: Callable[P, AsyncGenerator[R, Any] | AsyncIterator[R]], /
) -> RemoteFunction[P, ObjectRefGenerator[R]]: ...
@overload
def remote(target: Callable[P, R], /) -> RemoteFunction[P, ObjectRef[R]]: ...
@overload
def remote(*, num_returns: int | str | None, **options: Unpack[RemoteKeywords]) -> _CountDecorator: ...
@overload
def remote(**options: Unpack[RemoteKeywords]) -> _Decorator: ...
def remote(*args: Any, **options: Any) -> Any:
    """Make a remote function of a function, or an actor class of a class.

    Args:
        args: The function (generators and ``async def`` too) or class, where there are no options.
        options: Resources (num_cpus, num_gpus, memory in bytes, resources), num_returns, max_retries,
            retry_exceptions, max_calls, runtime_env, scheduling_strategy, name and the like; for actors also
            max_restarts, max_task_retries, max_concurrency, concurrency_groups, lifetime, namespace, get_if_exists.

    Returns:
        The remote function or actor class; with options, a decorator that makes it.

    Raises:
        AssertionError: Positional options, or empty parentheses.
        TypeError: The target is neither a function nor a class, or an option has the wrong type.
        ValueError: An unknown option, or a value that is not allowed.

    Example:
        >>> @ray.remote(num_cpus=2, max_retries=0)
        ... def simulate(seed): ...
    """
    if len(args) == 1 and not options and callable(args[0]):
        return _make(args[0], {})
    if args or not options:
        from ray_async.spec.option_checks import remote_usage

        raise AssertionError(remote_usage())
    return lambda target: _make(target, options)


def _make(target: Any, options: dict[str, Any]) -> RemoteFunction[..., Any] | ActorClass[Any]:
    if options:
        _check(target, options)
    if isinstance(target, type):
        return ActorClass(target, options)
    if not is_plain_function(target):
        raise TypeError(f"The @remote decorator must be applied to either a function or a class, not {target!r}.")
    if options.get("num_gpus") and options.get("max_calls") is None:
        options = {**options, "max_calls": 1}  # a worker keeps GPU memory until it ends
    return RemoteFunction(target, options)


def _check(target: Any, options: dict[str, Any]) -> None:
    from ray_async.spec.option_checks import (  # the table, where it is used
        validate_actor_options,
        validate_task_options,
    )

    if isinstance(target, type):
        validate_actor_options(options, in_options=False)
    elif is_plain_function(target):
        validate_task_options(options, in_options=False, is_generator=is_generator_callable(target))
