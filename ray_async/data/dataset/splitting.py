"""Splits: a dataset cut into several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ray_async.data.block.bundle import RowBundle
from ray_async.data.dataset.consuming import Consuming
from ray_async.data.expressions.expr import CallExpr, Expr, col
from ray_async.data.expressions.rows import RandomExpr
from ray_async.data.operators.shuffling import even_sizes
from ray_async.data.plan import nodes
from ray_async.data.plan.columns import check_columns
from ray_async.data.plan.seeds import RandomSeedConfig, drawn_seed
from ray_async.data.unused import note_unused

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset
    from ray_async.data.dataset.materialized import MaterializedDataset
    from ray_async.data.iteration.iterator import DataIterator

__all__ = ("Splitting",)


class Splitting(Consuming):
    """Methods that split; they run the dataset, and move no row."""

    def split(
        self, n: int, *, equal: bool = False, locality_hints: Sequence[Any] | None = None
    ) -> list[MaterializedDataset]:
        """Cut into consecutive parts.

        Args:
            n: number of parts.
            equal: whether all parts have the same number of rows; rows that are over are left out.
            locality_hints: accepted.

        Raises:
            ValueError: The number is not positive.
        """
        if n <= 0:
            raise ValueError(f"The number of splits {n} is not positive.")
        if locality_hints is not None and len(locality_hints) != n:
            raise ValueError(f"The length of locality_hints {len(locality_hints)} does not equal n={n}.")
        rows = self.materialize()
        count = rows.count()
        sizes = [count // n] * n if equal else list(reversed(even_sizes(count, n)))
        return self._cut(rows, sizes)

    def split_at_indices(self, indices: Sequence[int]) -> list[MaterializedDataset]:
        """Cut in front of rows.

        Args:
            indices: ascending numbers of rows.

        Raises:
            ValueError: They are none, negative, or not ascending.
        """
        if len(indices) < 1:
            raise ValueError("indices must be at least of length 1")
        if list(indices) != sorted(indices):
            raise ValueError("indices must be sorted")
        if indices[0] < 0:
            raise ValueError("indices must be positive")
        rows = self.materialize()
        count = rows.count()
        bounds = [0, *(min(index, count) for index in indices), count]
        return self._cut(rows, [stop - start for start, stop in itertools.pairwise(bounds)])

    def split_proportionately(self, proportions: Sequence[float]) -> list[MaterializedDataset]:
        """Cut by shares; a last part gets the rest.

        Raises:
            ValueError: A share is not positive, or they come to one or more.
        """
        if len(proportions) < 1:
            raise ValueError("proportions must be at least of length 1")
        if any(proportion <= 0 for proportion in proportions):
            raise ValueError("proportions must be bigger than 0")
        if sum(proportions) >= 1:
            raise ValueError("proportions must sum to less than 1")
        count = self.count()
        total, indices = 0.0, []
        for proportion in proportions:
            total += proportion
            indices.append(int(count * total))
        return self.split_at_indices(indices)

    def train_test_split(
        self, test_size: int | float, *, shuffle: bool = False, seed: int | None = None, stratify: str | None = None
    ) -> tuple[MaterializedDataset, MaterializedDataset]:
        """Cut into two parts, of which the second, for tests, has the last rows.

        Args:
            test_size: the share of the second part, between 0 and 1, or its number of rows.
            shuffle: whether rows are brought into random order before.
            seed: of that.
            stratify: a column whose values have the same shares in both parts.

        Raises:
            ValueError: The size is out of range, or both ``shuffle`` and ``stratify`` are asked for.
            TypeError: The size is no number.
        """
        if shuffle and stratify:
            raise ValueError("Cannot specify both 'shuffle=True' and 'stratify' parameters.")
        if isinstance(test_size, bool) or not isinstance(test_size, (int, float)):
            raise TypeError(f"`test_size` must be int or float got {type(test_size)}.")
        if isinstance(test_size, float) and not 0 < test_size < 1:
            raise ValueError(
                f"If `test_size` is a float, it must be bigger than 0 and smaller than 1. Got {test_size}."
            )
        whole = self._with(nodes.Shuffle(self._node, seed, None)) if shuffle else self
        if stratify is not None:
            return self._stratified(test_size, stratify)
        rows = whole.materialize()
        train, test = rows.split_at_indices([rows.count() - _test_rows(test_size, rows.count())])
        return train, test

    def streaming_train_test_split(
        self,
        test_size: float,
        *,
        split_type: str = "random",
        hash_column: str | None = None,
        seed: int | None = None,
        **ray_remote_kwargs: Any,
    ) -> tuple[Dataset, Dataset]:
        """Two datasets that together have all rows, each once, without running anything.

        Each run of one of them runs this dataset, and keeps the rows that are its part's.

        Args:
            test_size: the share of the second part, between 0 and 1, about.
            split_type: "random": by a draw for each row's number; "hash": by a column's values, of which equal ones go
                to the same part.
            hash_column: that column.
            seed: of the draw; None draws a seed now.
            ray_remote_kwargs: accepted.

        Raises:
            ValueError: The size is not between 0 and 1, an unknown kind, a column for "random", none for "hash", or a
                seed for "hash".
            UnknownColumnError: There is no such column.
        """
        note_unused("streaming_train_test_split", "the split is made where the rows are read", **ray_remote_kwargs)
        if not 0 < test_size < 1:
            raise ValueError(f"test_size must be between 0 and 1, but is {test_size}")
        if split_type == "random":
            if hash_column is not None:
                raise ValueError("hash_column is not supported for the random split")
            fixed = RandomSeedConfig(seed if seed is not None else drawn_seed(), reseed_after_execution=False)
            share: Expr = RandomExpr(fixed)
        elif split_type == "hash":
            if hash_column is None:
                raise ValueError("hash_column is required for the hash split")
            if seed is not None:
                raise ValueError("seed is not supported for the hash split")
            check_columns([hash_column], self._columns())
            share = CallExpr("hash_share", (col(hash_column),))
        else:
            raise ValueError(f"split_type must be 'random' or 'hash', but is {split_type!r}")
        is_train = share < 1 - test_size
        return self._with(nodes.Filter(self._node, is_train)), self._with(nodes.Filter(self._node, ~is_train))

    def streaming_split(
        self, n: int, *, equal: bool = False, locality_hints: Sequence[Any] | None = None
    ) -> list[DataIterator]:
        """Iterators for ``n`` consumers, in any processes, among which the rows are divided while the dataset is run.

        An epoch, which is one run, begins when all of them ask for it. A consumer that dies in the middle of one is
        an error for the others.

        Args:
            n: consumers.
            equal: whether all get the same number of rows; up to ``n - 1`` rows are left out then. Else blocks go to
                whoever asks first.
            locality_hints: accepted.

        Raises:
            ValueError: The number is not positive.
        """
        note_unused("streaming_split", "all consumers are on one machine", locality_hints=locality_hints)
        import ray_async as ray
        from ray_async.data.iteration.split_coordinator import SplitCoordinator
        from ray_async.data.iteration.split_iterator import SplitIterator

        if n < 1:
            raise ValueError(f"The number of splits {n} is not positive.")
        actor = ray.remote(SplitCoordinator).options(num_cpus=0, max_concurrency=1000)
        coordinator = actor.remote(self._node, self._context, n, equal)
        return [SplitIterator(coordinator, part, n) for part in range(n)]

    def _stratified(self, test_size: int | float, column: str) -> tuple[MaterializedDataset, MaterializedDataset]:
        from ray_async.data.engine.stratifying import stratified_rows
        from ray_async.data.reading.objects import from_arrow

        table = self._whole_table(None, "train_test_split")
        _test_rows(test_size, table.num_rows)
        share = test_size if isinstance(test_size, float) else test_size / max(1, table.num_rows)
        train, test = stratified_rows(table, column, share)
        return from_arrow(table.take(train)), from_arrow(table.take(test))

    def _cut(self, rows: MaterializedDataset, sizes: Sequence[int]) -> list[MaterializedDataset]:
        from ray_async.data.dataset.materialized import MaterializedDataset

        node = rows._node
        assert isinstance(node, nodes.Blocks)
        found, start = [], 0
        for size in sizes:
            bundles = _rows_of(node.bundles, start, start + size)
            start += size
            found.append(MaterializedDataset(nodes.Blocks(bundles, node.known, fixed=True), self._context.copy()))
        return found

    if TYPE_CHECKING:

        def _with(self, node: nodes.PlanNode) -> Dataset: ...


def _rows_of(bundles: Sequence[RowBundle], start: int, stop: int) -> tuple[RowBundle, ...]:
    """The bundles of some of the rows, each a part of one that was there."""
    found, first = [], 0
    for bundle in bundles:
        low, high = max(start, first), min(stop, first + bundle.rows)
        if low < high:
            found.append(bundle.part(low - first, high - first))
        first += bundle.rows
    if not found and bundles:
        found.append(bundles[0].part(0, 0))
    return tuple(found)


def _test_rows(test_size: int | float, count: int) -> int:
    if isinstance(test_size, float):
        return -(-count * _exact(test_size)[0] // _exact(test_size)[1])
    if not 0 < test_size < count:
        raise ValueError(
            f"If `test_size` is an int, it must be bigger than 0 and smaller than the size of the dataset ({count}). "
            f"Got {test_size}."
        )
    return test_size


def _exact(share: float) -> tuple[int, int]:
    from fractions import Fraction

    return Fraction(repr(share)).as_integer_ratio()
