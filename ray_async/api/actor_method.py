"""Actor methods: the ``method`` decorator and what calls a method through a handle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar, Unpack, overload

from ray_async.api.invocation import make_invocation
from ray_async.api.method_help import MethodDoc, MethodHelp, method_signature
from ray_async.api.remote_callable import RemoteCallable
from ray_async.engine.protocol import ActorCore
from ray_async.spec.descriptors import (
    METHOD_OPTIONS_ATTRIBUTE,
    MethodDescriptor,
    is_async_callable,
    is_generator_callable,
)
from ray_async.spec.method_options import MethodOptions

if TYPE_CHECKING:
    import inspect

    from ray_async.api.object_ref import ObjectRef, ObjectRefGenerator
    from ray_async.call_types import CountMethodDecorator, MethodDecorator, TypedCall, TypedMethod
    from ray_async.spec.option_types import MethodKeywords

__all__ = ("ActorMethod", "method")

P = ParamSpec("P")
Result = TypeVar("Result", covariant=True)
R = TypeVar("R")
S = TypeVar("S")

_OF_CALLS_ONLY = frozenset({"name", "_labels"})


_DOC = """A method of a particular actor.

It holds the actor, so that ``A.remote().method.remote()`` works on a handle that is gone by then.

Args:
    core: The actor.
    class_name: Name of its class, for messages.
    descriptor: The method.
    options: Options of its calls.
    groups: The concurrency groups that the class declares.
"""


class ActorMethod(RemoteCallable, Generic[P, Result]):
    # The class has this docstring; an instance has its method's, which notebooks and editors show.
    __doc__ = MethodDoc(_DOC)

    __slots__ = ("__weakref__", "_class_name", "_core", "_descriptor", "_groups", "_options", "remote")

    def __init__(
        self,
        core: ActorCore,
        class_name: str,
        descriptor: MethodDescriptor,
        options: MethodOptions,
        groups: tuple[str, ...] = (),
    ) -> None:
        self._core = core
        self._class_name = class_name
        self._descriptor = descriptor
        self._options = options
        self._groups = groups
        remote = make_invocation(
            lambda: descriptor.signature,
            lambda session: session.actor_template(core, descriptor, options),
            descriptor.invocation_decorator,
        )
        remote.__doc__ = descriptor.doc
        remote.__wrapped__ = MethodHelp(descriptor)  # type: ignore[attr-defined]  # not this object: no cycle
        self.remote: TypedCall[P, Result] = remote  # type: ignore[assignment]

    @property
    def __signature__(self) -> inspect.Signature:
        return method_signature(self._descriptor)

    @property
    def __name__(self) -> str:
        return self._descriptor.name

    @overload
    def options(self, *, num_returns: int | str | None, **options: Unpack[MethodKeywords]) -> ActorMethod[P, Any]: ...
    @overload
    def options(self, **options: Unpack[MethodKeywords]) -> ActorMethod[P, Result]: ...
    def options(self, **options: Any) -> ActorMethod[P, Any]:
        """Give the same method with other options.

        Args:
            options: name, num_returns, max_task_retries, retry_exceptions, concurrency_group, enable_task_events,
                tensor_transport and the like.

        Raises:
            TypeError: A value of the wrong type.
            ValueError: An unknown option, a value that is not allowed, or a concurrency group that is not declared.
        """
        generator = self._descriptor.is_generator
        from ray_async.spec.option_checks import validate_method_call_options  # the table, where it is used

        validate_method_call_options(options, is_generator=generator)
        group = options.get("concurrency_group")
        if group is not None and group not in self._groups:
            raise ValueError(
                f"{self._class_name} has no concurrency group {group!r}: declared are {list(self._groups)}."
            )
        merged = self._options.merge(options, is_generator=generator)
        return ActorMethod(self._core, self._class_name, self._descriptor, merged, self._groups)

    def _call_name(self) -> str:
        return f"{self._class_name}.{self._descriptor.name}"

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        from ray_async.dag.class_node import ClassMethodNode, with_outputs  # not paid for by importing the package

        call = ClassMethodNode(self._descriptor.name, self._call_name(), args, kwargs, {}, {}, method=self)
        return with_outputs(call, self._options.num_returns)

    if not TYPE_CHECKING:  # for type checkers, it is no callable

        def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
            """Refuse a direct call.

            Raises:
                TypeError: Always.
            """
            name = self._descriptor.name
            raise TypeError(
                f"Actor methods cannot be called directly. Instead of running 'object.{name}()', "
                f"try 'object.{name}.remote()'."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorMethod, (self._core, self._class_name, self._descriptor, self._options, self._groups)

    def __repr__(self) -> str:
        return f"ActorMethod({self._class_name}.{self._descriptor.name}, {self._core.actor_id.hex()})"


@overload
def method(
    function: Callable[Concatenate[S, P], Coroutine[Any, Any, R]], /
) -> TypedMethod[S, P, Coroutine[Any, Any, R], ObjectRef[R]]: ...
@overload
def method(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[S, P], Iterator[R]], /
) -> TypedMethod[S, P, Iterator[R], ObjectRefGenerator[R]]: ...
@overload
def method(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[S, P], AsyncIterator[R]], /
) -> TypedMethod[S, P, AsyncIterator[R], ObjectRefGenerator[R]]: ...
@overload
def method(function: Callable[Concatenate[S, P], R], /) -> TypedMethod[S, P, R, ObjectRef[R]]: ...
@overload
def method(*, num_returns: int | str | None, **options: Unpack[MethodKeywords]) -> CountMethodDecorator: ...
@overload
def method(**options: Unpack[MethodKeywords]) -> MethodDecorator: ...
def method(*args: Any, **options: Any) -> Any:
    """Set the default options of an actor's method.

    Args:
        args: The method, where the decorator has no parentheses.
        options: num_returns, concurrency_group, max_task_retries, retry_exceptions, enable_task_events,
            tensor_transport, _generator_backpressure_num_objects, _num_objects_per_yield; run_in_thread has a sync
            method of an async actor run in a thread instead of on the actor's loop; _generator_detached has a
            generator run on when nobody reads it any more.

    Raises:
        AssertionError: Positional options, none at all, or an unknown one.
        TypeError: A value of the wrong type.
        ValueError: A value that is not allowed.

    Example:
        >>> class Splitter:
        ...     @method(num_returns=2)
        ...     def split(self, x): return x, x
    """
    if len(args) == 1 and not options and callable(args[0]):
        return _mark(args[0], {})
    from ray_async.spec.option_table import METHOD_RULES  # where it is used

    known = set(METHOD_RULES) - _OF_CALLS_ONLY
    unknown = set(options) - known
    if args or not options or unknown:
        raise AssertionError(
            "The @method decorator must be applied without parentheses, or with some of the keyword arguments "
            f"{sorted(known)}, for example '@method(num_returns=2)'; got {list(args) or sorted(unknown)}."
        )
    return lambda function: _mark(function, options)


def _mark(function: Any, options: dict[str, Any]) -> Any:
    generator = is_generator_callable(getattr(function, "__func__", function))
    if options:
        from ray_async.spec.option_checks import check_num_returns, validate_method_call_options

        check_num_returns(options.get("num_returns"), is_generator=generator)
        validate_method_call_options(options, is_generator=generator)
    if options.get("run_in_thread") and is_async_callable(function):
        raise ValueError(
            f"{function.__name__} is asynchronous: it runs on the actor's loop, and run_in_thread cannot be set."
        )
    setattr(getattr(function, "__func__", function), METHOD_OPTIONS_ATTRIBUTE, options)
    return function
