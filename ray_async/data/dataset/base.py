"""The base of datasets: the plan, the settings that were valid when it was made, and what its runs have shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.block.bundle import RowBundle, schema_of
from ray_async.data.context import DataContext
from ray_async.data.executor.execution import Execution, Run
from ray_async.data.plan import nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ray_async.data.dataset.dataset import Dataset

__all__ = ("DatasetBase",)


@dataclass
class Known:
    """What a complete run has shown of a plan's rows.

    Attributes:
        count: how many there are.
        schema: their columns.
        written: columns of the blocks that a write was given, whether they fit together or not.
    """

    count: int | None = None
    schema: pa.Schema | None = None
    written: Sequence[pa.Schema] = ()


class DatasetBase:
    """A lazy plan.

    Args:
        node: the plan.
        context: settings; those of the process by default.
    """

    def __init__(self, node: nodes.PlanNode, context: DataContext | None = None) -> None:
        self._node = node
        self._context = context if context is not None else DataContext.get_current().copy()
        self._known = Known()
        self._last: Execution | None = None
        self._executions = 0
        self._name: str | None = None

    @property
    def context(self) -> DataContext:
        """The settings of this dataset: a copy of those that were valid when it was made."""
        return self._context

    @property
    def name(self) -> str | None:
        """The name that `set_name` gave it."""
        return self._name

    def set_name(self, name: str | None) -> None:
        """Give it a name, for progress and statistics."""
        self._name = name

    def _with(self, node: nodes.PlanNode) -> Dataset:
        """A dataset of a further plan."""
        from ray_async.data.dataset.dataset import Dataset

        found = Dataset(node, self._context.copy())
        found._name = self._name
        return found

    def _execution(self, node: nodes.PlanNode | None = None) -> Execution:
        self._last = Execution(self._node if node is None else node, self._context, self._executions, self._name or "")
        self._executions += 1
        return self._last

    @property
    def _last_run(self) -> Run | None:
        return self._last.run if self._last is not None else None

    def _columns(self) -> list[str] | None:
        """Names of the columns, where they are known without running anything."""
        if self._known.schema is not None:
            return list(self._known.schema.names)
        return self._node.columns()

    def _run_all(self) -> list[RowBundle]:
        """All bundles; what they show is remembered."""
        bundles = self._execution().all()
        self._note(bundles)
        return bundles

    def _note(self, bundles: Iterable[RowBundle]) -> None:
        bundles = list(bundles)
        self._known.count = sum(bundle.rows for bundle in bundles)
        self._known.schema = schema_of(bundles) or self._node.schema()

    def __reduce__(self) -> Any:
        return (type(self), (self._node, self._context))
