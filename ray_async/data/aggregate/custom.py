"""Bases of users' own aggregations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation
from ray_async.data.block.columns import column_of_values
from ray_async.data.block.rows import rows_of

__all__ = ("AggregateFn", "AggregateFnV2", "VectorizedAggregateFnV2")


class AggregateFn(Aggregation):
    """An aggregation made of functions.

    Args:
        init: from key to the first state.
        merge: from two states to one.
        name: of the column.
        accumulate_row: from a state and a row to the next state.
        accumulate_block: from a state and a table to the next state; one of the two must be there.
        finalize: from the last state to the value.

    Raises:
        ValueError: Neither or both of the accumulating functions are given.
        TypeError: The name is no text.

    Example:
        >>> total = AggregateFn(lambda key: 0, lambda a, b: a + b, "n", accumulate_row=lambda a, row: a + row["x"])
        >>> ds.aggregate(total)
    """

    def __init__(
        self,
        init: Callable[[Any], Any],
        merge: Callable[[Any, Any], Any],
        name: str,
        accumulate_row: Callable[[Any, dict[str, Any]], Any] | None = None,
        accumulate_block: Callable[[Any, pa.Table], Any] | None = None,
        finalize: Callable[[Any], Any] | None = None,
    ) -> None:
        if (accumulate_row is None) == (accumulate_block is None):
            raise ValueError("Exactly one of accumulate_row or accumulate_block must be provided.")
        if not isinstance(name, str):
            raise TypeError(f"`name` must be a text, but is {name!r}")
        super().__init__(name, on=None, ignore_nulls=False)
        self.init = init
        self.merge = merge
        self.accumulate_row = accumulate_row
        self.accumulate_block = accumulate_block
        self.finalize = finalize or (lambda state: state)

    def of_group(self, group: pa.Table) -> Any:
        state = self.init(None)
        if self.accumulate_block is not None:
            state = self.accumulate_block(state, group)
        elif self.accumulate_row is not None:
            for row in rows_of(group):
                state = self.accumulate_row(state, row)
        return self.finalize(state)


class AggregateFnV2(Aggregation, ABC):
    """The base class of aggregations that are classes.

    Args:
        name: of the column.
        zero_factory: gives the first state.
        on: the column that it reads.
        ignore_nulls: whether states that are None are passed over.
    """

    def __init__(
        self, name: str, zero_factory: Callable[[], Any], *, on: str | None = None, ignore_nulls: bool = True
    ) -> None:
        super().__init__(name, on=on, ignore_nulls=ignore_nulls)
        self.zero_factory = zero_factory

    @abstractmethod
    def aggregate_block(self, block: pa.Table) -> Any:
        """The state of a table."""

    @abstractmethod
    def combine(self, current_accumulator: Any, new: Any) -> Any:
        """One state of two."""

    def finalize(self, accumulator: Any) -> Any:
        """The value of the last state."""
        return accumulator

    def of_group(self, group: pa.Table) -> Any:
        new = self.aggregate_block(group)
        if new is None and self.ignore_nulls:
            return None
        return self.finalize(self.combine(self.zero_factory(), new))


class VectorizedAggregateFnV2(AggregateFnV2):
    """The base class of aggregations whose states are put together as a column, and not two by two."""

    def combine(self, current_accumulator: Any, new: Any) -> Any:
        """Not called.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"{type(self).__name__} puts states together by _combine_column")

    @abstractmethod
    def _combine_column(self, accumulator_col: pa.ChunkedArray) -> Any:
        """One state of a column of states, which is the last one."""

    def of_group(self, group: pa.Table) -> Any:
        new = self.aggregate_block(group)
        if new is None and self.ignore_nulls:
            return None
        return self.finalize(self._combine_column(pa.chunked_array([column_of_values([new])])))
