"""Report plan: which metrics a library's callback reports, under which names, and when it saves a checkpoint."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.session import report
from ray_async.tune.metric import number

__all__ = ("ReportPlan",)


class ReportPlan:
    """Metrics that are reported, and the rounds at which a checkpoint comes with them.

    Args:
        metrics: Names that are reported, or the library's names by the reported ones; None: all.
        frequency: Rounds from one checkpoint to the next; 0: none.
        at_end: Whether the last round comes with one.

    Raises:
        ValueError: A frequency below 0.
        TypeError: Metrics that are no names.
    """

    def __init__(
        self,
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
        frequency: int = 0,
        at_end: bool = False,
    ) -> None:
        if frequency < 0:
            raise ValueError(f"frequency must not be negative, but is {frequency}")
        if metrics is not None and not isinstance(metrics, (str, Mapping, list, tuple)):
            raise TypeError(f"metrics are a name, a list of names, or a dict of names, but got {metrics!r}")
        if isinstance(metrics, str):
            metrics = [metrics]
        self._names: dict[str, str] | None = None
        if metrics is not None:
            self._names = dict(metrics) if isinstance(metrics, Mapping) else {name: name for name in metrics}
        self.frequency, self.at_end = frequency, at_end

    def chosen(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics that are reported, numbers as Python floats.

        Args:
            known: All that the library has, by its names.

        Raises:
            KeyError: One is not there.
        """
        if self._names is None:
            return {name: _plain(value) for name, value in known.items()}
        missing = sorted(name for name in self._names.values() if name not in known)
        if missing:
            raise KeyError(f"there are no metrics {missing} to report; there are {sorted(known)}")
        return {name: _plain(known[inner]) for name, inner in self._names.items()}

    def is_due(self, round_number: int) -> bool:
        """Tell whether a round comes with a checkpoint by its number.

        Args:
            round_number: The round, from 1.
        """
        return self.frequency > 0 and round_number % self.frequency == 0

    @staticmethod
    def report(metrics: dict[str, Any], save: Callable[[str], None] | None = None) -> None:
        """Report, with a checkpoint if there is something that saves one.

        Args:
            metrics: The metrics.
            save: Writes the checkpoint's files into a directory.
        """
        if save is None:
            report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            save(folder)
            report(metrics, checkpoint=Checkpoint.from_directory(folder))


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    found = number(value)
    return value if found is None or (math.isnan(found) and not hasattr(value, "__float__")) else found
