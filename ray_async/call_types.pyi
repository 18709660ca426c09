"""Types of ``.remote``, for type checkers alone: arguments may be references to values, at any position.

mypy and pyright understand different ways of saying so. mypy sees the first branch alone, which leaves references by
keyword and behind the third position to the plugin `ray_async.mypy_plugin`. Pyright sees the second one too: each
argument in front is a value or a reference to one, and the rest is as the function has it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, Unpack, overload

from ray_async.api.object_ref import ObjectRef, ObjectRefGenerator
from ray_async.spec.option_types import MethodKeywords

__all__ = ("AnyResult", "BoundMethod", "CountMethodDecorator", "MethodDecorator", "TypedCall", "TypedMethod")

P = ParamSpec("P")
Rest = ParamSpec("Rest")
Result = TypeVar("Result", covariant=True)
R = TypeVar("R")
S = TypeVar("S")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")

MYPY: Final = False  # mypy takes a variable of this name for true

class TypedCall(Generic[P, Result]):
    """The type of ``.remote``: called with what ``P`` says, it gives a ``Result``; it is made nowhere."""

    if MYPY:
        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result: ...
        @overload
        def __call__(self, first: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Result: ...
        @overload
        def __call__(self, first: Any, second: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Result: ...
        @overload
        def __call__(self, first: Any, second: Any, third: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Result: ...

    else:
        @overload
        def __call__(
            self: TypedCall[Concatenate[A, Rest], R], a: A | ObjectRef[A], /, *args: Rest.args, **kwargs: Rest.kwargs
        ) -> R: ...
        @overload
        def __call__(
            self: TypedCall[Concatenate[A, B, Rest], R],
            a: A | ObjectRef[A],
            b: B | ObjectRef[B],
            /,
            *args: Rest.args,
            **kwargs: Rest.kwargs,
        ) -> R: ...
        @overload
        def __call__(
            self: TypedCall[Concatenate[A, B, C, Rest], R],
            a: A | ObjectRef[A],
            b: B | ObjectRef[B],
            c: C | ObjectRef[C],
            /,
            *args: Rest.args,
            **kwargs: Rest.kwargs,
        ) -> R: ...
        @overload
        def __call__(
            self: TypedCall[Concatenate[A, B, C, D, Rest], R],
            a: A | ObjectRef[A],
            b: B | ObjectRef[B],
            c: C | ObjectRef[C],
            d: D | ObjectRef[D],
            /,
            *args: Rest.args,
            **kwargs: Rest.kwargs,
        ) -> R: ...
        @overload
        def __call__(
            self: TypedCall[Concatenate[A, B, C, D, E, F, Rest], R],
            a: A | ObjectRef[A],
            b: B | ObjectRef[B],
            c: C | ObjectRef[C],
            d: D | ObjectRef[D],
            e: E | ObjectRef[E],
            f: F | ObjectRef[F],
            /,
            *args: Rest.args,
            **kwargs: Rest.kwargs,
        ) -> R: ...
        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result: ...
        # References by keyword: their names are not known here, so that a missing argument is not seen in such calls.
        @overload
        def __call__(self, **kwargs: ObjectRef[Any]) -> Result: ...
        @overload
        def __call__(
            self: TypedCall[Concatenate[A, ...], R], a: A | ObjectRef[A], /, **kwargs: ObjectRef[Any]
        ) -> R: ...
        @overload
        def __call__(
            self: TypedCall[Concatenate[A, B, ...], R],
            a: A | ObjectRef[A],
            b: B | ObjectRef[B],
            /,
            **kwargs: ObjectRef[Any],
        ) -> R: ...

class AnyResult(ObjectRef[Any], ObjectRefGenerator[Any]):  # type: ignore[misc]  # pyright: ignore
    """What a method gives whose types are not known: one reference, several, or a stream of them."""

    def __getitem__(self, index: int, /) -> ObjectRef[Any]: ...
    def __len__(self) -> int: ...

class BoundMethod(Generic[P, R, Result]):
    """A method that `method` has marked, on an instance: called inside the class, and by ``.remote`` through a handle."""

    remote: TypedCall[P, Result]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def options(self, **options: Unpack[MethodKeywords]) -> BoundMethod[P, R, Result]: ...

class TypedMethod(Generic[S, P, R, Result]):
    """A function that `method` has marked."""

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> Callable[Concatenate[S, P], R]: ...
    @overload
    def __get__(self, instance: Any, owner: type[Any], /) -> BoundMethod[P, R, Result]: ...

class MethodDecorator(Protocol):
    """The type of ``method(**options)``."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, R]], /
    ) -> TypedMethod[S, P, Coroutine[Any, Any, R], ObjectRef[R]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], Iterator[R]], /
    ) -> TypedMethod[S, P, Iterator[R], ObjectRefGenerator[R]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, P], AsyncIterator[R]], /
    ) -> TypedMethod[S, P, AsyncIterator[R], ObjectRefGenerator[R]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], R], /) -> TypedMethod[S, P, R, ObjectRef[R]]: ...

class CountMethodDecorator(Protocol):
    """The type of ``method(num_returns=...)``: the count decides what calls return, which types cannot follow."""

    def __call__(self, function: Callable[Concatenate[S, P], R], /) -> TypedMethod[S, P, R, Any]: ...
