"""Expressions: columns, literals and calls of functions on them, built by Python's operators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from ray_async.data.expressions.namespaces import Arrays, DateTimes, Lists, Maps, Structs, Texts

__all__ = ("Alias", "CallExpr", "ColumnExpr", "Expr", "LiteralExpr", "RowsExpr", "col", "lit")


class Expr:
    """A value for each row, computed of the row's columns.

    Made by `col` and `lit`, and by operators on expressions: ``+ - * / // %``, comparisons, ``& | ~``.

    Example:
        >>> ds.with_column("total", col("price") * col("count")).filter(col("total") > 100)
    """

    __hash__ = object.__hash__

    @property
    def name(self) -> str | None:
        """The name that the column gets where none is given."""
        return None

    def columns(self) -> set[str]:
        """Names of the columns that it reads."""
        return {part.column for part in self.walk() if isinstance(part, ColumnExpr)}

    def walk(self) -> Iterator[Expr]:
        """It and all expressions inside it."""
        yield self

    def transformed(self, change: Callable[[Expr], Expr]) -> Expr:
        """The same with each expression inside it, and itself at last, changed by a function."""
        return change(self)

    @property
    def counts_rows(self) -> bool:
        """Whether its values depend on the rows' numbers, so that it must see all rows before any is left out."""
        return any(isinstance(part, RowsExpr) and part.by_number for part in self.walk())

    @property
    def runs_functions(self) -> bool:
        """Whether functions of the user's run in it, or files are fetched."""
        return any(isinstance(part, RowsExpr) and part.on_workers for part in self.walk())

    def structurally_equals(self, other: Any) -> bool:
        """Whether another expression is built the same way; ``==`` makes a comparison of the rows instead."""
        return repr(self) == repr(other)

    def alias(self, name: str) -> Expr:
        """The same value under that name."""
        return Alias(self, name)

    def to_pyarrow(self) -> Any:
        """The same as an expression of pyarrow's.

        Raises:
            NotImplementedError: Arrow's expressions have no such function.
        """
        from ray_async.data.expressions.arrow import arrow_expression

        return arrow_expression(self)

    # Operators

    def __add__(self, other: Any) -> Expr:
        return _call("add", self, other)

    def __radd__(self, other: Any) -> Expr:
        return _call("add", other, self)

    def __sub__(self, other: Any) -> Expr:
        return _call("subtract", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return _call("subtract", other, self)

    def __mul__(self, other: Any) -> Expr:
        return _call("multiply", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return _call("multiply", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return _call("divide", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return _call("divide", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return _call("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return _call("floor_divide", other, self)

    def __mod__(self, other: Any) -> Expr:
        return _call("modulo", self, other)

    def __rmod__(self, other: Any) -> Expr:
        return _call("modulo", other, self)

    def __neg__(self) -> Expr:
        return _call("negate", self)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return _call("equal", self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return _call("not_equal", self, other)

    def __lt__(self, other: Any) -> Expr:
        return _call("less", self, other)

    def __le__(self, other: Any) -> Expr:
        return _call("less_equal", self, other)

    def __gt__(self, other: Any) -> Expr:
        return _call("greater", self, other)

    def __ge__(self, other: Any) -> Expr:
        return _call("greater_equal", self, other)

    def __and__(self, other: Any) -> Expr:
        return _call("and", self, other)

    def __rand__(self, other: Any) -> Expr:
        return _call("and", other, self)

    def __or__(self, other: Any) -> Expr:
        return _call("or", self, other)

    def __ror__(self, other: Any) -> Expr:
        return _call("or", other, self)

    def __invert__(self) -> Expr:
        return _call("not", self)

    def __bool__(self) -> bool:
        raise TypeError(
            "an expression has no truth value: combine expressions by & | ~ in place of and, or, not, "
            "and write (a < b) & (b < c) for a < b < c"
        )

    # Methods

    def is_null(self) -> Expr:
        """Whether the value is null."""
        return _call("is_null", self)

    def is_not_null(self) -> Expr:
        """Whether there is a value."""
        return _call("is_not_null", self)

    def is_nan(self) -> Expr:
        """Whether the value is NaN."""
        return _call("is_nan", self)

    def fill_null(self, value: Any) -> Expr:
        """The value, and where it is null that one."""
        return _call("fill_null", self, value)

    def is_in(self, values: Any) -> Expr:
        """Whether the value is one of these."""
        return CallExpr("is_in", (self,), {"values": _plain(values)})

    def not_in(self, values: Any) -> Expr:
        """Whether the value is none of these."""
        return ~self.is_in(values)

    def cast(self, target_type: Any, safe: bool = True) -> Expr:
        """The value as another type.

        Args:
            target_type: a `DataType`, an Arrow type, or a name such as "int64".
            safe: whether a value that does not fit is an error.
        """
        return CallExpr("cast", (self,), {"data_type": target_type, "safe": safe})

    def abs(self) -> Expr:
        return _call("abs", self)

    def ceil(self) -> Expr:
        return _call("ceil", self)

    def floor(self) -> Expr:
        return _call("floor", self)

    def round(self, digits: int = 0) -> Expr:
        return CallExpr("round", (self,), {"digits": digits})

    def trunc(self) -> Expr:
        return _call("trunc", self)

    def negate(self) -> Expr:
        return _call("negate", self)

    def sign(self) -> Expr:
        return _call("sign", self)

    def power(self, exponent: Any) -> Expr:
        return _call("power", self, exponent)

    def sqrt(self) -> Expr:
        return _call("sqrt", self)

    def exp(self) -> Expr:
        return _call("exp", self)

    def ln(self) -> Expr:
        return _call("ln", self)

    def log2(self) -> Expr:
        return _call("log2", self)

    def log10(self) -> Expr:
        return _call("log10", self)

    def sin(self) -> Expr:
        return _call("sin", self)

    def cos(self) -> Expr:
        return _call("cos", self)

    def tan(self) -> Expr:
        return _call("tan", self)

    def asin(self) -> Expr:
        return _call("asin", self)

    def acos(self) -> Expr:
        return _call("acos", self)

    def atan(self) -> Expr:
        return _call("atan", self)

    @property
    def str(self) -> Texts:
        """Functions of texts."""
        from ray_async.data.expressions.namespaces import Texts

        return Texts(self)

    @property
    def list(self) -> Lists:
        """Functions of lists."""
        from ray_async.data.expressions.namespaces import Lists

        return Lists(self)

    @property
    def struct(self) -> Structs:
        """Fields of structs."""
        from ray_async.data.expressions.namespaces import Structs

        return Structs(self)

    @property
    def arr(self) -> Arrays:
        """Functions of tensors."""
        from ray_async.data.expressions.namespaces import Arrays

        return Arrays(self)

    @property
    def map(self) -> Maps:
        """Functions of maps."""
        from ray_async.data.expressions.namespaces import Maps

        return Maps(self)

    @property
    def dt(self) -> DateTimes:
        """Parts of times."""
        from ray_async.data.expressions.namespaces import DateTimes

        return DateTimes(self)


@dataclass(frozen=True, eq=False)
class ColumnExpr(Expr):
    """A column's value."""

    column: str

    @property
    def name(self) -> str:
        return self.column

    def __repr__(self) -> str:
        return f"col({self.column!r})"


@dataclass(frozen=True, eq=False)
class LiteralExpr(Expr):
    """The same value for each row."""

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, eq=False)
class Alias(Expr):
    """An expression under another name."""

    of: Expr
    label: str

    @property
    def name(self) -> str:
        return self.label

    def walk(self) -> Iterator[Expr]:
        yield self
        yield from self.of.walk()

    def transformed(self, change: Callable[[Expr], Expr]) -> Expr:
        return change(Alias(self.of.transformed(change), self.label))

    def __repr__(self) -> str:
        return f"{self.of!r}.alias({self.label!r})"


@dataclass(frozen=True, eq=False)
class CallExpr(Expr):
    """A function of expressions.

    Attributes:
        function: its name in `expressions.functions`.
        args: expressions.
        options: plain values.
    """

    function: str
    args: tuple[Expr, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator[Expr]:
        yield self
        for argument in self.args:
            yield from argument.walk()

    def transformed(self, change: Callable[[Expr], Expr]) -> Expr:
        args = tuple(argument.transformed(change) for argument in self.args)
        return change(CallExpr(self.function, args, self.options))

    def __repr__(self) -> str:
        options = [f"{name}={value!r}" for name, value in self.options.items()]
        return f"{self.function}({', '.join([*map(repr, self.args), *options])})"


class RowsExpr(Expr):
    """An expression whose values are made for a table's rows by code of its own."""

    #: Whether the values depend on the rows' numbers.
    by_number = False
    #: Whether it is worth a worker however few rows there are.
    on_workers = False

    @property
    @abstractmethod
    def type(self) -> pa.DataType:
        """The type of its values."""

    @abstractmethod
    def values(self, args: list[Any], rows: int, first_row: int) -> Any:
        """The values.

        Args:
            args: the values of `inputs`.
            rows: how many rows there are.
            first_row: the number of the first of them.
        """

    @property
    def inputs(self) -> tuple[Expr, ...]:
        """Expressions whose values it takes."""
        return ()

    def walk(self) -> Iterator[Expr]:
        yield self
        for argument in self.inputs:
            yield from argument.walk()


def _call(function: str, *args: Any) -> Expr:
    return CallExpr(function, tuple(arg if isinstance(arg, Expr) else LiteralExpr(arg) for arg in args))


def _plain(values: Any) -> Any:
    if isinstance(values, LiteralExpr):
        return values.value
    return list(values)


def col(name: str) -> Expr:
    """A column's value.

    Args:
        name: the column's name.

    Raises:
        TypeError: The name is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"col() takes the name of a column, but got {name!r}")
    return ColumnExpr(name)


def lit(value: Any) -> Expr:
    """The same value for each row."""
    return LiteralExpr(value)
