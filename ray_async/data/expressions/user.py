"""Functions of the user's in expressions: of whole columns, as Arrow arrays, called on workers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any

import pyarrow as pa

from ray_async.data.block.columns import column_of_array, column_of_values
from ray_async.data.datatype import arrow_type_of
from ray_async.data.expressions.expr import Expr, LiteralExpr, RowsExpr
from ray_async.data.operators.function import FUNCTION_NOTE

__all__ = ("UDFExpr", "pyarrow_udf", "udf")


@dataclass(eq=False)
class _Maker:
    """A class of the user's, of which each worker makes an instance when it is first called."""

    made: type
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    _instance: Any = field(default=None, repr=False)

    @property
    def __name__(self) -> str:
        return self.made.__name__

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_instance": None}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._instance is None:
            self._instance = self.made(*self.args, **self.kwargs)
        return self._instance(*args, **kwargs)


@dataclass(frozen=True, eq=False)
class UDFExpr(RowsExpr):
    """A function of the user's of expressions.

    Attributes:
        function: takes a column for each expression, and plain values as they are.
        args: its positional arguments.
        kwargs: its keyword arguments.
        kind: the Arrow type of its values.
    """

    function: Callable[..., Any]
    args: tuple[Expr, ...]
    kwargs: Mapping[str, Expr]
    kind: pa.DataType
    on_workers = True

    @property
    def type(self) -> pa.DataType:
        return self.kind

    @property
    def inputs(self) -> tuple[Expr, ...]:
        return (*self.args, *self.kwargs.values())

    def transformed(self, change: Callable[[Expr], Expr]) -> Expr:
        args = tuple(argument.transformed(change) for argument in self.args)
        kwargs = {name: argument.transformed(change) for name, argument in self.kwargs.items()}
        return change(UDFExpr(self.function, args, kwargs, self.kind))

    def values(self, args: list[Any], rows: int, first_row: int) -> Any:
        if not rows:
            return pa.nulls(0, self.kind)
        given = [_given(value) for value in args]
        count = len(self.args)
        named = dict(zip(self.kwargs, given[count:], strict=True))
        try:
            result = self.function(*given[:count], **named)
            if inspect.isawaitable(result):
                result = asyncio.run(_awaited(result))
        except Exception as error:
            error.add_note(f"{FUNCTION_NOTE}{self!r}")
            raise
        return self._column(result, rows)

    def _column(self, result: Any, rows: int) -> Any:
        if isinstance(result, pa.Scalar) or not hasattr(result, "__len__") or isinstance(result, (str, bytes)):
            raise ValueError(f"{self!r} must return a column of {rows} values, but returned {result!r}")
        if len(result) != rows:
            raise ValueError(f"{self!r} must return a column of {rows} values, but returned {len(result)}")
        if isinstance(result, (pa.Array, pa.ChunkedArray)):
            column = result
        elif hasattr(result, "dtype") and hasattr(result, "shape"):
            column = column_of_array(result if not hasattr(result, "to_numpy") else result.to_numpy())
        else:
            column = column_of_values(list(result))
        try:
            return column if column.type == self.kind else column.cast(self.kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TypeError(
                f"{self!r} returned {column.type}, which is not its return_dtype {self.kind}: {error}"
            ) from error

    def __repr__(self) -> str:
        shown = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"{getattr(self.function, '__name__', type(self.function).__name__)}({', '.join(shown)})"


def _given(value: Any) -> Any:
    if isinstance(value, pa.Scalar):
        return value.as_py()
    return value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value


async def _awaited(result: Any) -> Any:
    return await result


def udf(return_dtype: Any) -> Callable[[Any], Any]:
    """Make a function, or a class whose instances are called, part of expressions.

    It gets an Arrow array for each expression that it is called with, and other arguments as they are; it returns as
    many values, as an Arrow or NumPy array, a Series or a list. Of a class, each worker makes an instance of its own.

    Args:
        return_dtype: the type of its values: a `DataType`, or a type of Arrow's.

    Raises:
        TypeError: It is no type, or what is decorated cannot be called.

    Example:
        >>> @udf(return_dtype=DataType.int64())
        ... def add_one(x):
        ...     return pc.add(x, 1)
        >>> ds.with_column("y", add_one(col("x")))
    """
    kind = arrow_type_of(return_dtype)

    def decorate(function: Any) -> Any:
        if not callable(function):
            raise TypeError(f"udf decorates a function or a class, but got {function!r}")
        if not inspect.isclass(function):
            return _expression_maker(function, kind)

        def make(*args: Any, **kwargs: Any) -> Any:
            return _expression_maker(_Maker(function, args, kwargs), kind)

        return update_wrapper(make, function, updated=())

    return decorate


def pyarrow_udf(return_dtype: Any) -> Callable[[Any], Any]:
    """The same as `udf`, whose functions always get Arrow arrays."""
    return udf(return_dtype)


def _expression_maker(function: Any, kind: pa.DataType) -> Callable[..., UDFExpr]:
    def make(*args: Any, **kwargs: Any) -> UDFExpr:
        return UDFExpr(
            function,
            tuple(_expression(value) for value in args),
            {name: _expression(value) for name, value in kwargs.items()},
            kind,
        )

    return update_wrapper(make, function, updated=()) if not isinstance(function, _Maker) else make


def _expression(value: Any) -> Expr:
    return value if isinstance(value, Expr) else LiteralExpr(value)
