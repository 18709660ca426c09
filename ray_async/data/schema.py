"""The schema of a dataset."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = ("Schema",)


class Schema:
    """Names and types of a dataset's columns.

    Args:
        base_schema: the Arrow schema.

    Example:
        >>> ray.data.range(3).schema().names
        ['id']
    """

    def __init__(self, base_schema: pa.Schema) -> None:
        self.base_schema = base_schema

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.base_schema.names)

    @property
    def types(self) -> list[pa.DataType]:
        """Their Arrow types."""
        return list(self.base_schema.types)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Schema) and bool(self.base_schema.equals(other.base_schema))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        width = max([len("Column"), *map(len, self.names)])
        lines = [f"{name:<{width}}  {kind}" for name, kind in zip(self.names, self.types, strict=True)]
        return "\n".join([f"{'Column':<{width}}  Type", f"{'-' * width}  ----", *lines])
