"""The dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ray_async.data.dataset.columns import Columns
from ray_async.data.dataset.converting_frames import ConvertingFrames
from ray_async.data.dataset.iterating import Iterating
from ray_async.data.dataset.rearranging import Rearranging
from ray_async.data.dataset.splitting import Splitting
from ray_async.data.dataset.summarizing import Summarizing
from ray_async.data.dataset.transforms import Transforms
from ray_async.data.dataset.writing_formats import WritingFormats
from ray_async.data.dataset.writing_tables import WritingTables
from ray_async.data.plan.explain import explained, outline
from ray_async.data.stats.report import report
from ray_async.data.stats.timeline import events, save_timeline

__all__ = ("Dataset",)


class Dataset(
    Transforms, Columns, Rearranging, Summarizing, Iterating, ConvertingFrames, Splitting, WritingFormats, WritingTables
):
    """Rows in columns, described by a lazy plan: methods that transform return another dataset at once, methods that
    consume run the plan.

    Rows are dicts of Python values, in a fixed order that transformations keep. Made by the functions of
    `ray_async.data`, such as `range`, `from_items` and `read_parquet`.

    Example:
        >>> ray.data.range(4).filter(lambda row: row["id"] % 2).take_all()
        [{'id': 1}, {'id': 3}]
    """

    def explain(self) -> str:
        """Print the plan: as it was written, as the optimizer leaves it, and the stages that run it.

        Returns:
            The same text.
        """
        text = explained(self._node, self._context)
        print(text)
        return text

    def stats(self) -> str:
        """Where the last run spent its time: for each stage rows, bytes, calls, seconds in workers, and waits."""
        return report(self._last_run, self._name)

    def timeline(self, filename: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
        """When each call of the last run began and ended, in which process; of each stage the last 10,000.

        Args:
            filename: where to write it: as ``.json`` a trace for chrome://tracing or ui.perfetto.dev, as ``.png``,
                ``.svg`` or ``.pdf`` a picture.

        Returns:
            The events of the trace.

        Raises:
            ValueError: It has not been run yet, or the file's ending is of no format.
            ImportError: A picture is asked for, and matplotlib is not installed.

        Example:
            >>> ds.materialize().timeline("timeline.png")
        """
        run = self._last_run
        if run is None:
            raise ValueError("the dataset has not been run yet, so it has no timeline")
        if filename is not None:
            save_timeline(run, Path(filename))
        return events(run)

    @staticmethod
    def copy(dataset: Dataset) -> Dataset:
        """Another dataset of the same plan, with settings of its own."""
        return dataset._with(dataset._node)

    def __repr__(self) -> str:
        columns = self._columns()
        shown = "unknown" if columns is None else ", ".join(columns)
        return f"{type(self).__name__}({outline(self._node)}, columns: {shown})"
