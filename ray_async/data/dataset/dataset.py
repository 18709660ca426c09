"""The dataset."""

from __future__ import annotations

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
        """Where the last run spent its time: for each stage calls, rows, bytes, and seconds in workers."""
        return report(self._last_run, self._name)

    @staticmethod
    def copy(dataset: Dataset) -> Dataset:
        """Another dataset of the same plan, with settings of its own."""
        return dataset._with(dataset._node)

    def __repr__(self) -> str:
        columns = self._columns()
        shown = "unknown" if columns is None else ", ".join(columns)
        return f"{type(self).__name__}({outline(self._node)}, columns: {shown})"
