"""Remote functions: what ``remote`` makes of a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, Unpack, overload

from ray_async.api.invocation import make_invocation
from ray_async.api.remote_callable import RemoteCallable
from ray_async.spec.descriptors import FunctionDescriptor
from ray_async.spec.option_values import merge_options
from ray_async.spec.task_options import TaskOptions

if TYPE_CHECKING:
    from ray_async.call_types import TypedCall
    from ray_async.dag.function_node import FunctionNode
    from ray_async.spec.option_types import TaskKeywords

__all__ = ("RemoteFunction",)

P = ParamSpec("P")
Result = TypeVar("Result", covariant=True)


class RemoteFunction(RemoteCallable, Generic[P, Result]):
    """A function whose calls are tasks.

    Args:
        function: The function.
        options: Validated options of the decorator.

    Example:
        >>> @ray.remote
        ... def double(x: int) -> int:
        ...     return 2 * x
        >>> ray.get(double.remote(21))
        42
    """

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._install(FunctionDescriptor(function), dict(options))

    def _install(self, descriptor: FunctionDescriptor, options: dict[str, Any]) -> None:
        self._descriptor = descriptor
        self._default_options = options
        # the closure names the descriptor and not this object, so that no reference cycle is made
        self.__dict__["remote"] = _make_remote(descriptor, options)
        wraps: Any = update_wrapper  # which asks for something callable
        wraps(self, descriptor.function)

    if TYPE_CHECKING:
        remote: TypedCall[P, Result]
        """Start a task with these arguments; TypeError where they do not fit."""

    @property
    def _function(self) -> Callable[..., Any]:
        return self._descriptor.function

    @property
    def _function_name(self) -> str:
        return f"{self._descriptor.module}.{self._descriptor.qualname}"

    @overload
    def options(self, *, num_returns: int | str | None, **options: Unpack[TaskKeywords]) -> RemoteFunction[P, Any]: ...
    @overload
    def options(self, **options: Unpack[TaskKeywords]) -> RemoteFunction[P, Result]: ...
    def options(self, **options: Any) -> RemoteFunction[P, Any]:
        """Give the same function with other options, which go over the decorator's key by key.

        Args:
            options: Any task option but ``max_calls``.

        Raises:
            TypeError: A value of the wrong type.
            ValueError: An unknown option, or a value that is not allowed.

        Example:
            >>> left, right = split.options(num_returns=2).remote(data)
        """
        from ray_async.spec.option_checks import validate_task_options  # the table, where it is used

        validate_task_options(options, in_options=True, is_generator=self._descriptor.is_generator)
        clone: RemoteFunction[P, Any] = RemoteFunction.__new__(RemoteFunction)
        clone._install(self._descriptor, merge_options(self._default_options, options))
        return clone

    def _call_name(self) -> str:
        return self._descriptor.name

    def bind(self, *args: Any, **kwargs: Any) -> FunctionNode:
        from ray_async.dag.function_node import FunctionNode  # graphs are not paid for by importing the package

        return FunctionNode(self, args, kwargs, self._default_options)

    if not TYPE_CHECKING:  # for type checkers, it is no callable

        def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
            """Refuse a direct call.

            Raises:
                TypeError: Always.
            """
            name = self._descriptor.name
            raise TypeError(
                f"Remote functions cannot be called directly. Instead of running '{name}()', try '{name}.remote()'."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteFunction, (self._descriptor.function, self._default_options)

    def __repr__(self) -> str:
        return f"RemoteFunction({self._function_name})"


def _make_remote(descriptor: FunctionDescriptor, options: Mapping[str, Any]) -> Any:
    remote = make_invocation(
        lambda: descriptor.signature,
        lambda session: session.task_template(
            descriptor, TaskOptions.resolve(options, is_generator=descriptor.is_generator)
        ),
        descriptor.invocation_decorator,
    )
    return update_wrapper(remote, descriptor.function)
