"""Transformations that choose, put together or order rows."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from ray_async.data.dataset.base import DatasetBase
from ray_async.data.dataset.consuming import Consuming
from ray_async.data.engine.joining import JOIN_TYPES
from ray_async.data.expressions.rows import RandomExpr
from ray_async.data.plan import nodes
from ray_async.data.plan.columns import check_columns
from ray_async.data.plan.seeds import Seed, fixed_seed
from ray_async.data.unused import note_unused

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset
    from ray_async.data.grouped import GroupedData

__all__ = ("Rearranging",)


class Rearranging(Consuming):
    """Methods that choose, put together or order rows."""

    def limit(self, limit: int) -> Dataset:
        """The first rows; nothing beyond them is computed.

        Raises:
            ValueError: It is negative.
        """
        if limit < 0:
            raise ValueError(f"limit must be zero or positive, but is {limit}")
        return self._with(nodes.Limit(self._node, limit))

    def union(self, *other: DatasetBase) -> Dataset:
        """All rows of this dataset, then those of the next, and so on; columns that one of them lacks are null.

        Raises:
            TypeError: A column has types that do not fit together.
        """
        node = nodes.Union((self._node, *(dataset._node for dataset in other)))
        node.schema()
        return self._with(node)

    def zip(self, *other: DatasetBase) -> Dataset:
        """Rows side by side; a name that is there already gets ``_1``, ``_2`` behind it.

        Raises:
            ValueError: The datasets differ in their number of rows; at once where the numbers are known.
        """
        if not other:
            raise ValueError("zip() needs at least one other dataset")
        parts = (self._node, *(dataset._node for dataset in other))
        counts = [part.count() for part in parts]
        if None not in counts and len(set(counts)) > 1:
            raise ValueError(f"Cannot zip datasets of different number of rows: {', '.join(map(str, counts))}")
        return self._with(nodes.Zip(parts))

    def join(
        self,
        ds: Consuming,
        join_type: str,
        num_partitions: int | None = None,
        on: Sequence[str] = ("id",),
        right_on: Sequence[str] | None = None,
        left_suffix: str | None = None,
        right_suffix: str | None = None,
        *,
        partition_size_hint: int | None = None,
        aggregator_ray_remote_args: Any = None,
        validate_schemas: bool = False,
    ) -> Dataset:
        """Rows of this dataset with those of another whose keys are equal.

        Null is equal to nothing; integers and floats are compared exactly.

        Args:
            ds: the other dataset.
            join_type: "inner", "left_outer", "right_outer", "full_outer", "left_semi", "right_semi", "left_anti" or
                "right_anti".
            num_partitions: accepted; the number follows from the size.
            on: the keys; they are in the result once.
            right_on: the keys of the other dataset, if they have other names there.
            left_suffix: put behind names of this dataset that the other has too.
            right_suffix: the same for the other.
            partition_size_hint: accepted.
            aggregator_ray_remote_args: accepted.
            validate_schemas: accepted; keys are always checked where the columns are known.

        Returns:
            Rows in the order of this dataset, while it is joined by one call; those of the other alone come last.

        Raises:
            ValueError: Another kind of join, keys that are no list, or a name that both have and no suffix.
            UnknownColumnError: A key is no column.
            TypeError: Keys cannot be compared.
        """
        note_unused(
            "join",
            "no aggregators run, and keys are always checked",
            partition_size_hint=partition_size_hint,
            aggregator_ray_remote_args=aggregator_ray_remote_args,
            validate_schemas=validate_schemas,
        )
        if join_type not in JOIN_TYPES:
            raise ValueError(f"join_type must be one of {', '.join(JOIN_TYPES)}, but is {join_type!r}")
        keys = []
        for given in (on, on if right_on is None else right_on):
            if isinstance(given, str) or not isinstance(given, (list, tuple)) or not given:
                raise ValueError(f"the keys of a join must be a tuple or a list of names, but are {given!r}")
            keys.append(tuple(given))
        if len(keys[0]) != len(keys[1]):
            raise ValueError(f"on and right_on must have the same number of keys, but are {keys[0]} and {keys[1]}")
        if num_partitions is not None and num_partitions < 1:
            raise ValueError(f"num_partitions must be positive, but is {num_partitions}")
        check_columns(keys[0], self._columns())
        check_columns(keys[1], ds._columns())
        node = nodes.Join(self._node, ds._node, keys[0], keys[1], join_type, left_suffix, right_suffix)
        node.schema()
        return self._with(node)

    def sort(
        self,
        key: str | Sequence[str],
        descending: bool | Sequence[bool] = False,
        boundaries: Sequence[Any] | None = None,
    ) -> Dataset:
        """Rows in the order of one or more columns. Nulls come last in both directions, and NaN before them; rows with
        equal keys keep their order.

        Args:
            key: a column, or several, of which the first counts most.
            descending: the direction, or one for each column.
            boundaries: values of the first key in ascending order, at which the blocks of the result are cut.

        Raises:
            UnknownColumnError: There is no such column.
            ValueError: The key is no name or list of names, the directions are not as many as the keys, or the
                boundaries do not ascend.
        """
        keys = _keys(key, "Key must be a string or a list of strings")
        if not keys:
            raise ValueError("sort() needs at least one key")
        directions = [descending] * len(keys) if isinstance(descending, bool) else list(descending)
        if len(directions) != len(keys):
            raise ValueError(f"Length of `descending` does not match the length of the key: {directions}, {keys}")
        check_columns(keys, self._columns())
        if boundaries is not None and (not boundaries or list(boundaries) != sorted(boundaries)):
            raise ValueError(f"boundaries must be ascending values, but are {list(boundaries)}")
        cuts = None if boundaries is None else tuple(boundaries)
        return self._with(nodes.Sort(self._node, tuple(keys), tuple(directions), cuts))

    def groupby(self, key: str | Sequence[str] | None, num_partitions: int | None = None) -> GroupedData:
        """Groups of rows with equal keys; null is a key, and so is NaN.

        Args:
            key: a column, several, or None for one group of all rows.
            num_partitions: accepted; the number follows from the size.

        Raises:
            UnknownColumnError: There is no such column.
        """
        from ray_async.data.grouped import GroupedData

        keys = [] if key is None else _keys(key, "Key must be a string or a list of strings")
        check_columns(keys, self._columns())
        if num_partitions is not None and num_partitions < 1:
            raise ValueError(f"num_partitions must be positive, but is {num_partitions}")
        return GroupedData(self, tuple(keys))

    def random_shuffle(self, *, seed: Seed = None, num_blocks: int | None = None) -> Dataset:
        """Rows in random order.

        Args:
            seed: decides the order, whatever the blocks are; None: another order at each execution; a
                `RandomSeedConfig`: as it says.
            num_blocks: blocks of the result.
        """
        return self._with(nodes.Shuffle(self._node, fixed_seed(seed), num_blocks))

    def randomize_block_order(self, *, seed: Seed = None) -> Dataset:
        """The same blocks in random order."""
        return self._with(nodes.RandomizeBlocks(self._node, fixed_seed(seed)))

    def random_sample(self, fraction: float, *, seed: Seed = None) -> Dataset:
        """Each row with a probability.

        Args:
            fraction: the probability, from 0 to 1.
            seed: decides which, whatever the blocks are.

        Raises:
            ValueError: The fraction is not from 0 to 1.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction must be between 0 and 1, but is {fraction}")
        return self._with(nodes.Filter(self._node, RandomExpr(fixed_seed(seed)) < fraction))

    def repartition(
        self,
        num_blocks: int | None = None,
        target_num_rows_per_block: int | None = None,
        *,
        strict: bool = False,
        shuffle: bool = False,
        keys: Sequence[str] | None = None,
        sort: bool = False,
    ) -> Dataset:
        """The same rows, in the same order, in other blocks. No row is moved for it, unless there are keys.

        Args:
            num_blocks: blocks of about the same number of rows.
            target_num_rows_per_block: rows of a block.
            strict: accepted; blocks always have that number of rows, but the last.
            shuffle: accepted; blocks come out even without it.
            keys: columns; rows in which they are equal come into the same block, in their order.
            sort: whether each of these blocks is sorted by the keys.

        Raises:
            ValueError: Not exactly one of the two numbers, one that is not positive, ``sort`` without ``keys``, or
                ``keys`` without a number of blocks.
            UnknownColumnError: A key is no column.
        """
        note_unused("repartition", "blocks have the rows asked for in any case", strict=strict)
        if (num_blocks is None) == (target_num_rows_per_block is None):
            raise ValueError("Exactly one of `num_blocks` or `target_num_rows_per_block` must be set")
        if target_num_rows_per_block is not None and shuffle:
            raise ValueError("`shuffle` must be False when `target_num_rows_per_block` is set.")
        number: Any = num_blocks if num_blocks is not None else target_num_rows_per_block
        if not isinstance(number, Integral):
            raise TypeError(f"numbers of blocks and rows are whole numbers, but {number!r} is not")
        if number < 1:
            raise ValueError(f"the number must be positive, but is {number}")
        if sort and not keys:
            raise ValueError("`sort` needs `keys`: the columns to sort each block by")
        names = tuple(_keys(keys, "`keys` must be a list of strings")) if keys else ()
        if names and num_blocks is None:
            raise ValueError("`keys` need `num_blocks`")
        check_columns(names, self._columns())
        return self._with(nodes.Repartition(self._node, num_blocks, target_num_rows_per_block, names, sort))


def _keys(key: Any, message: str) -> list[str]:
    if isinstance(key, str):
        return [key]
    if not isinstance(key, (list, tuple)) or not all(isinstance(name, str) for name in key):
        raise ValueError(f"{message}, but is {key!r}")
    return list(key)
