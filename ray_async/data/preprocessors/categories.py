"""Categories: the values that columns have, counted when fitting and looked up when transforming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.aggregate.functions import Aggregation
from ray_async.data.block.columns import python_of

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("check_no_nulls", "counted", "indices_of", "is_list", "numbered")


class _Counts(Aggregation):
    """The values of a column, or of its lists, and how often each appears, in order of first appearance."""

    def __init__(self, on: str, flatten: bool) -> None:
        super().__init__(f"counts({on})", on=on, ignore_nulls=False)
        self.flatten = flatten

    def of_group(self, group: pa.Table) -> Any:
        column = group.column(self.on)
        if self.flatten and is_list(column.type):
            column = pc.list_flatten(column)
        if column.num_chunks > 1:
            column = column.unify_dictionaries()
        try:
            counts = pc.value_counts(column.combine_chunks() if column.num_chunks > 1 else column)
            values, numbers = counts.field("values"), counts.field("counts")
            pairs = zip(python_of(pa.chunked_array([values])), numbers.to_pylist(), strict=True)
        except (pa.ArrowNotImplementedError, AttributeError):
            pairs = _counted(python_of(column))
        found = [(_key(value), number) for value, number in pairs]
        return {"values": tuple(value for value, _ in found), "counts": tuple(number for _, number in found)}


def _counted(values: Iterable[Any]) -> Any:
    counts: dict[Any, int] = {}
    for value in values:
        counts[_key(value)] = counts.get(_key(value), 0) + 1
    return counts.items()


def _key(value: Any) -> Any:
    """A value that can be a key of a dict: lists become tuples, NaN null."""
    if isinstance(value, float) and value != value:
        return None
    return tuple(map(_key, value)) if isinstance(value, (list, tuple)) or hasattr(value, "tolist") else value


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds lists."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def counted(
    ds: Dataset, columns: Sequence[str], *, flatten: bool, keep_nulls: bool = False
) -> dict[str, dict[Any, int]]:
    """For each column its values and their numbers, in order of first appearance.

    Args:
        flatten: whether the items of lists count, and not the lists.
        keep_nulls: whether nulls are left out, where they would be an error.

    Raises:
        ValueError: A column has nulls.
    """
    found = ds.aggregate(*[_Counts(name, flatten) for name in columns])
    counts: dict[str, dict[Any, int]] = {}
    for name in columns:
        pair = found[f"counts({name})"] if found is not None else {"values": (), "counts": ()}
        # Tuples that are all alike come back as lists.
        counts[name] = dict(zip(map(_key, pair["values"]), pair["counts"], strict=True))
        if counts[name].pop(None, 0) and not keep_nulls:
            raise ValueError(
                f"Unable to fit column {name!r} because it contains null values. "
                "Consider imputing missing values first."
            )
    return counts


def numbered(counts: Mapping[Any, int], most: int | None = None) -> dict[Any, int]:
    """A number for each value, in their own order.

    Args:
        most: how many of the most frequent have one; None: all.
    """
    values = list(counts)
    if most is not None:
        values = sorted(values, key=lambda value: -counts[value])[:most]
    try:
        values.sort()
    except TypeError:  # texts beside numbers
        values.sort(key=lambda value: (type(value).__name__, str(value)))
    return {value: number for number, value in enumerate(values)}


def check_no_nulls(name: str, column: pa.ChunkedArray) -> None:
    """Refuse nulls, and NaN.

    Raises:
        ValueError: There is one.
    """
    missing = pc.is_null(column, nan_is_null=True) if pa.types.is_floating(column.type) else column.is_null()
    if pc.any(missing).as_py():
        raise ValueError(
            f"Unable to transform column {name!r} because it contains null values. "
            "Consider imputing missing values first."
        )


def indices_of(column: pa.ChunkedArray, numbers: Mapping[Any, int]) -> pa.ChunkedArray:
    """The number of each value; null for one that has none."""
    kind = column.type
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind)
    if plain and list(numbers.values()) == list(range(len(numbers))):
        try:
            return pc.index_in(column, value_set=pa.array(list(numbers), type=kind)).cast(pa.int64())
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # categories of another type than this column's
            pass
    return pa.chunked_array([pa.array([numbers.get(_key(value)) for value in python_of(column)], pa.int64())])
