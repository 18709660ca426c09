"""Types of columns for expressions and functions in them: of Arrow, of NumPy, or of Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ("DataType", "TypeCategory", "arrow_type_of")


class TypeCategory(StrEnum):
    """Kinds of types."""

    LIST = "list"
    LARGE_LIST = "large_list"
    STRUCT = "struct"
    MAP = "map"
    TENSOR = "tensor"
    TEMPORAL = "temporal"


@dataclass(frozen=True)
class DataType:
    """A type.

    Args:
        kind: an Arrow type, a NumPy dtype, or a class of Python's.

    Raises:
        TypeError: It is none of these.

    Example:
        >>> DataType.list(DataType.int64()).to_arrow_dtype()
        ListType(list<item: int64>)
    """

    kind: pa.DataType | np.dtype[Any] | type

    def __post_init__(self) -> None:
        if not isinstance(self.kind, (pa.DataType, np.dtype, type)):
            raise TypeError(f"a DataType is made of a type of Arrow's, NumPy's or Python's, but got {self.kind!r}")

    # What it is

    def is_arrow_type(self) -> bool:
        return isinstance(self.kind, pa.DataType)

    def is_numpy_type(self) -> bool:
        return isinstance(self.kind, np.dtype)

    def is_python_type(self) -> bool:
        return isinstance(self.kind, type)

    def is_of(self, category: TypeCategory | str) -> bool:
        """Whether it belongs to a kind of types."""
        checks: dict[str, Callable[[], bool]] = {
            "list": self.is_list_type,
            "large_list": lambda: self._is(pa.types.is_large_list),
            "struct": self.is_struct_type,
            "map": self.is_map_type,
            "tensor": self.is_tensor_type,
            "temporal": self.is_temporal_type,
        }
        return str(category) in checks and checks[str(category)]()

    def is_list_type(self) -> bool:
        return self._is(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)

    def is_struct_type(self) -> bool:
        return self._is(pa.types.is_struct)

    def is_map_type(self) -> bool:
        return self._is(pa.types.is_map)

    def is_tensor_type(self) -> bool:
        from ray_async.data.block.tensors import is_tensor

        return self._is(is_tensor)

    def is_nested_type(self) -> bool:
        return self._is(pa.types.is_nested)

    def is_numerical_type(self) -> bool:
        return self._is(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal) or self.kind in (int, float)

    def is_string_type(self) -> bool:
        return self._is(pa.types.is_string, pa.types.is_large_string) or self.kind is str

    def is_binary_type(self) -> bool:
        return self._is(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary) or (
            self.kind is bytes
        )

    def is_temporal_type(self) -> bool:
        return self._is(pa.types.is_temporal)

    def _is(self, *checks: Callable[[pa.DataType], bool]) -> bool:
        kind = self.kind
        if isinstance(kind, np.dtype):
            kind = pa.from_numpy_dtype(kind) if kind.kind in "biufmMSU" else pa.null()
        return isinstance(kind, pa.DataType) and any(check(kind) for check in checks)

    # Conversions

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type."""
        return self.to_arrow_dtype()

    def to_arrow_dtype(self, values: Sequence[Any] | None = None) -> pa.DataType:
        """The Arrow type; of a class of Python's that of some values, or what Arrow makes of the class.

        Raises:
            TypeError: Arrow has no type for a class, and there are no values.
        """
        kind = self.kind
        if isinstance(kind, pa.DataType):
            return kind
        if isinstance(kind, np.dtype):
            return pa.string() if kind.kind == "U" else pa.from_numpy_dtype(kind)
        if values:
            return pa.array(values).type
        if kind not in _OF_CLASSES:
            raise TypeError(f"Arrow has no type for {kind.__name__}: give the type by DataType.from_arrow()")
        return _OF_CLASSES[kind]

    def to_numpy_dtype(self) -> np.dtype[Any]:
        """The NumPy dtype; object where NumPy has none."""
        if isinstance(self.kind, np.dtype):
            return self.kind
        if not isinstance(self.kind, pa.DataType):
            return np.dtype(object)
        try:
            return np.dtype(self.kind.to_pandas_dtype())
        except (TypeError, NotImplementedError):
            return np.dtype(object)

    def to_python_type(self) -> type:
        """The class.

        Raises:
            ValueError: It is not made of a class of Python's.
        """
        if not isinstance(self.kind, type):
            raise ValueError(f"{self!r} is no class of Python's: use to_arrow_dtype() or to_numpy_dtype()")
        return self.kind

    def __repr__(self) -> str:
        if isinstance(self.kind, pa.DataType):
            return f"DataType(arrow:{self.kind})"
        if isinstance(self.kind, np.dtype):
            return f"DataType(numpy:{self.kind})"
        return f"DataType(python:{self.kind.__name__})"

    # Makers

    @classmethod
    def from_arrow(cls, arrow_type: pa.DataType) -> DataType:
        """The type of that Arrow type."""
        return cls(arrow_type)

    @classmethod
    def from_numpy(cls, numpy_dtype: Any) -> DataType:
        """The type of that NumPy dtype, or of its name."""
        return cls(np.dtype(numpy_dtype))

    @classmethod
    def infer_dtype(cls, value: Any) -> DataType:
        """The type of a value."""
        if isinstance(value, (np.ndarray, np.generic)):
            return cls(value.dtype)
        try:
            return cls(pa.scalar(value).type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            return cls(type(value))

    @classmethod
    def list(cls, value_type: DataType) -> DataType:
        """Lists of values of a type."""
        return cls(pa.list_(value_type.arrow_type))

    @classmethod
    def large_list(cls, value_type: DataType) -> DataType:
        """Lists of values of a type, with 64-bit offsets."""
        return cls(pa.large_list(value_type.arrow_type))

    @classmethod
    def fixed_size_list(cls, value_type: DataType, list_size: int) -> DataType:
        """Lists of so many values of a type."""
        return cls(pa.list_(value_type.arrow_type, list_size))

    @classmethod
    def struct(cls, fields: Sequence[tuple[str, DataType]]) -> DataType:
        """Structs of these fields."""
        return cls(pa.struct([(name, field.arrow_type) for name, field in fields]))

    @classmethod
    def map(cls, key_type: DataType, value_type: DataType) -> DataType:
        """Maps from values of one type to values of another."""
        return cls(pa.map_(key_type.arrow_type, value_type.arrow_type))

    @classmethod
    def tensor(cls, shape: tuple[int, ...], dtype: DataType) -> DataType:
        """Arrays of one shape."""
        return cls(pa.fixed_shape_tensor(dtype.arrow_type, shape))

    @classmethod
    def variable_shaped_tensor(cls, dtype: DataType, ndim: int = 2) -> DataType:
        """Arrays, each of a shape of its own; the number of dimensions is accepted, and free."""
        from ray_async.data.block.tensors import RaggedTensorType

        return cls(RaggedTensorType(dtype.arrow_type))

    @classmethod
    def temporal(cls, temporal_type: str, unit: str | None = None, tz: str | None = None) -> DataType:
        """Times.

        Args:
            temporal_type: "timestamp", "date32", "date64", "time32", "time64" or "duration".
            unit: "s", "ms", "us" or "ns"; by default "us", and "s" for "time32".
            tz: the time zone of timestamps.

        Raises:
            ValueError: There is no such type.
        """
        makers: dict[str, Callable[[], pa.DataType]] = {
            "timestamp": lambda: pa.timestamp(unit or "us", tz=tz),
            "date32": pa.date32,
            "date64": pa.date64,
            "time32": lambda: pa.time32(unit or "s"),
            "time64": lambda: pa.time64(unit or "us"),
            "duration": lambda: pa.duration(unit or "us"),
        }
        if temporal_type.lower() not in makers:
            raise ValueError(f"temporal_type must be one of {', '.join(makers)}, but is {temporal_type!r}")
        return cls(makers[temporal_type.lower()]())

    @classmethod
    def int8(cls) -> DataType:
        return cls(pa.int8())

    @classmethod
    def int16(cls) -> DataType:
        return cls(pa.int16())

    @classmethod
    def int32(cls) -> DataType:
        return cls(pa.int32())

    @classmethod
    def int64(cls) -> DataType:
        return cls(pa.int64())

    @classmethod
    def uint8(cls) -> DataType:
        return cls(pa.uint8())

    @classmethod
    def uint16(cls) -> DataType:
        return cls(pa.uint16())

    @classmethod
    def uint32(cls) -> DataType:
        return cls(pa.uint32())

    @classmethod
    def uint64(cls) -> DataType:
        return cls(pa.uint64())

    @classmethod
    def float32(cls) -> DataType:
        return cls(pa.float32())

    @classmethod
    def float64(cls) -> DataType:
        return cls(pa.float64())

    @classmethod
    def string(cls) -> DataType:
        return cls(pa.string())

    @classmethod
    def bool(cls) -> DataType:
        return cls(pa.bool_())

    @classmethod
    def binary(cls) -> DataType:
        return cls(pa.binary())


_OF_CLASSES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
}


def arrow_type_of(given: Any) -> pa.DataType:
    """The Arrow type that a `DataType`, an Arrow type, a dtype, a class or a name of Arrow's stands for.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(given, DataType):
        return given.to_arrow_dtype()
    if isinstance(given, str):
        return pa.type_for_alias(given)
    return DataType(given).to_arrow_dtype()
