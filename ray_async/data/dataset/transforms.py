"""Transformations by functions: of rows and of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ray_async.data.block.batches import check_batch_format
from ray_async.data.dataset.base import DatasetBase
from ray_async.data.dataset.functions import ComputeArgument, user_function
from ray_async.data.expressions.expr import Expr
from ray_async.data.expressions.parsing import parsed
from ray_async.data.plan import nodes
from ray_async.data.plan.columns import check_columns

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("Transforms",)


class Transforms(DatasetBase):
    """Methods that take functions.

    They have in common: ``fn_args`` and ``fn_kwargs`` for each call; ``fn_constructor_args`` and
    ``fn_constructor_kwargs`` for classes; ``compute`` or ``concurrency`` for how many calls run at a time;
    ``num_cpus``, ``num_gpus``, ``memory`` (bytes) and further options of `remote` for what each call needs. Functions
    run in tasks, classes in a pool of actors of which each has an instance.
    """

    def map(
        self,
        fn: Any,
        *,
        compute: ComputeArgument = None,
        fn_args: Iterable[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Iterable[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, ...] | None = None,
        ray_remote_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Dataset:
        """Call a function with each row.

        Args:
            fn: from a dict, column name to Python value, to a dict; may be ``async``.

        Raises:
            ValueError, TypeError: as `Transforms` says, at once; when it is run, also if ``fn`` returns no dict.

        Example:
            >>> ray.data.range(3).map(lambda row: {"double": 2 * row["id"]}).take_all()
            [{'double': 0}, {'double': 2}, {'double': 4}]
        """
        return self._rows(
            "map", "Map", fn, compute, fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs, concurrency,
            ray_remote_args_fn, options,
        )  # fmt: skip

    def flat_map(
        self,
        fn: Any,
        *,
        compute: ComputeArgument = None,
        fn_args: Iterable[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Iterable[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, ...] | None = None,
        ray_remote_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Dataset:
        """Call a function with each row, which gives any number of rows.

        Args:
            fn: from a dict to a list, or an iterator, of dicts.

        Example:
            >>> ray.data.range(2).flat_map(lambda row: [row, row]).take_all()
            [{'id': 0}, {'id': 0}, {'id': 1}, {'id': 1}]
        """
        return self._rows(
            "flat_map", "FlatMap", fn, compute, fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs,
            concurrency, ray_remote_args_fn, options,
        )  # fmt: skip

    def filter(
        self,
        fn: Any = None,
        expr: str | Expr | None = None,
        *,
        compute: ComputeArgument = None,
        fn_args: Iterable[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Iterable[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, ...] | None = None,
        ray_remote_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Dataset:
        """Keep the rows for which a function, or an expression, is true.

        Args:
            fn: from a dict to a truth value; what it does to the dict has no effect.
            expr: an expression, or one as text such as ``"age > 30 and name is not None"``. It runs without Python, and
                in the reader where that can filter. Rows for which it is null are dropped.

        Raises:
            ValueError: Neither or both are given, or the text is no expression.
            UnknownColumnError: The expression names a column that is not there.

        Example:
            >>> ray.data.range(10).filter(expr="id > 7").take_all()
            [{'id': 8}, {'id': 9}]
        """
        if isinstance(fn, Expr) and expr is None:
            fn, expr = None, fn
        if (fn is None) == (expr is None):
            raise ValueError("Exactly one of 'fn' or 'expr' must be provided to filter().")
        if expr is not None:
            predicate = parsed(expr) if isinstance(expr, str) else expr
            check_columns(sorted(predicate.columns()), self._columns())
            return self._with(nodes.Filter(self._node, predicate))
        return self._rows(
            "filter", "Filter", fn, compute, fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs,
            concurrency, ray_remote_args_fn, options,
        )  # fmt: skip

    def _rows(
        self, kind: str, name: str, fn: Any, compute: Any, args: Any, kwargs: Any, constructor_args: Any,
        constructor_kwargs: Any, concurrency: Any, options_function: Any, options: Mapping[str, Any],
    ) -> Dataset:  # fmt: skip
        function, resources = user_function(
            fn,
            name,
            compute=compute,
            fn_args=args,
            fn_kwargs=kwargs,
            fn_constructor_args=constructor_args,
            fn_constructor_kwargs=constructor_kwargs,
            concurrency=concurrency,
            options_function=options_function,
            options=_remote_options(options),
        )
        return self._with(nodes.MapRows(self._node, kind, function, resources))

    def map_batches(
        self,
        fn: Any,
        *,
        batch_size: int | str | None = None,
        compute: ComputeArgument = None,
        batch_format: str | None = "default",
        zero_copy_batch: bool = True,
        fn_args: Iterable[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Iterable[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, ...] | None = None,
        udf_modifying_row_count: bool = True,
        ray_remote_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Dataset:
        """Call a function with batches of rows.

        Args:
            fn: from a batch to a batch, in any of the formats, or to an iterator of batches; may be ``async``.
            batch_size: rows of a batch; small blocks are put together for it, and the last batch of a call may have
                fewer. None, "default" and "auto": whole blocks.
            batch_format: "numpy" (also "default"): a dict of arrays; "cupy": the same on a GPU; "pandas", "pyarrow",
                "polars"; None: as the block.
            zero_copy_batch: whether NumPy batches may be read-only views of the store; False makes them copies that may
                be changed. Frames of pandas may always be changed.
            udf_modifying_row_count: accepted.

        Raises:
            ValueError: A batch size that is not positive, an unknown format, GPUs without a batch size; and when it is
                run, also if ``fn`` returns no batch.
            TypeError: A batch size that is no whole number.

        Example:
            >>> def add_length(batch):
            ...     batch["length"] = [len(text) for text in batch["text"]]
            ...     return batch
            >>> ds.map_batches(add_length, batch_format="pandas")
        """
        rows = _batch_rows(batch_size)
        if options.get("num_gpus") and rows is None:
            raise ValueError("`batch_size` must be given when `num_gpus` is: a whole block may not fit on a GPU")
        function, resources = user_function(
            fn,
            "MapBatches",
            compute=compute,
            fn_args=fn_args,
            fn_kwargs=fn_kwargs,
            fn_constructor_args=fn_constructor_args,
            fn_constructor_kwargs=fn_constructor_kwargs,
            concurrency=concurrency,
            options_function=ray_remote_args_fn,
            options=_remote_options(options),
        )
        known = check_batch_format(batch_format)
        return self._with(nodes.MapBatches(self._node, function, rows, known, not zero_copy_batch, resources))

    def add_column(
        self, col: str, fn: Callable[[Any], Any], *, batch_format: str | None = "pandas", **options: Any
    ) -> Dataset:
        """Add a column that a function computes of a batch; `with_column` does it without Python.

        Args:
            col: its name.
            fn: from a batch to the column's values.
            batch_format: "pandas", "pyarrow" or "numpy".

        Raises:
            ValueError: Another format.
        """
        if batch_format not in ("pandas", "pyarrow", "numpy"):
            raise ValueError(
                f"batch_format must be 'pandas', 'pyarrow' or 'numpy' in add_column(), but is {batch_format!r}"
            )
        if not callable(fn):
            raise ValueError("`fn` must be callable, got " + repr(fn))
        return self.map_batches(_AddColumn(col, fn), batch_format=batch_format, **options)


class _AddColumn:
    """A batch function that adds a column."""

    def __init__(self, name: str, fn: Callable[[Any], Any]) -> None:
        self._name = name
        self._fn = fn
        self.__name__ = getattr(fn, "__name__", "add_column")

    def __call__(self, batch: Any) -> Any:
        values = self._fn(batch)
        if hasattr(batch, "append_column"):
            if self._name in batch.column_names:
                return batch.set_column(batch.column_names.index(self._name), self._name, values)
            return batch.append_column(self._name, values)
        batch[self._name] = values
        return batch


def _batch_rows(batch_size: int | str | None) -> int | None:
    if batch_size is None or batch_size in ("default", "auto"):
        return None
    if isinstance(batch_size, bool) or not isinstance(batch_size, int):
        raise TypeError(f"batch_size must be a whole number, None or 'auto', but is {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"Batch size must be positive, but is {batch_size}")
    return batch_size


def _remote_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    if "ray_remote_args" in options:
        rest = {name: value for name, value in options.items() if name != "ray_remote_args"}
        return {**(options["ray_remote_args"] or {}), **rest}
    return options
