"""Keras integration: a callback of Keras that reports its logs at one of its hooks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ray_async.ignored_option import note_ignored
from ray_async.tune.integration.report_plan import ReportPlan

__all__ = ("ReportCheckpointCallback", "TuneReportCallback", "TuneReportCheckpointCallback")


def _callback_class() -> Any:
    for name in ("keras.callbacks", "tensorflow.keras.callbacks"):
        try:
            return import_module(name).Callback
        except ModuleNotFoundError:
            continue
    raise ImportError("this callback needs Keras: pip install keras")


class ReportCheckpointCallback(_callback_class()):  # type: ignore[misc]
    """Reports Keras's logs, with checkpoints of the model.

    Args:
        checkpoint_on: The hook or hooks at which a checkpoint comes with the report.
        report_metrics_on: The hook or hooks at which is reported: ``"epoch_end"``, ``"train_batch_end"`` and others.
        metrics: Names that are reported, or Keras's names by the reported ones; None: all.

    Raises:
        ValueError: A hook that Keras has not.

    Example:
        >>> model.fit(x, y, callbacks=[ReportCheckpointCallback(metrics={"loss": "val_loss"})])  # doctest: +SKIP
    """

    CHECKPOINT_NAME = "model.keras"

    def __init__(
        self,
        checkpoint_on: str | Sequence[str] = "epoch_end",
        report_metrics_on: str | Sequence[str] = "epoch_end",
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._plan = ReportPlan(metrics)
        self._saves_on = _hooks(checkpoint_on)
        self._reports_on = _hooks(report_metrics_on)
        self._counts: Counter[str] = Counter()
        for hook in {*self._saves_on, *self._reports_on}:
            if not hasattr(self, f"on_{hook}"):
                raise ValueError(f"Keras has no hook {hook!r}")
            setattr(self, f"on_{hook}", self._handler(hook))

    def _handler(self, hook: str) -> Any:
        def handle(*args: Any, **kwargs: Any) -> None:
            self._counts[hook] += 1
            logs = kwargs.get("logs", args[-1] if args else None)
            known = logs if isinstance(logs, Mapping) else {}
            metrics = self._plan.chosen(known) if hook in self._reports_on else dict(self._counts)
            save = self._save if hook in self._saves_on else None
            self._plan.report(metrics, save)

        return handle

    def _save(self, folder: str) -> None:
        self.model.save(os.path.join(folder, self.CHECKPOINT_NAME))


class KerasReportCheckpointCallback(ReportCheckpointCallback):
    """The same under its older name, whose first argument is the metrics.

    Args:
        metrics: As of `ReportCheckpointCallback`.
        filename: Has no effect: the file is ``model.keras``. Noted in the log if it is given.
        frequency: Has no effect: each report has a checkpoint. Noted in the log if it is given.
        on: The hook or hooks.
    """

    def __init__(
        self,
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
        filename: str = "checkpoint",
        frequency: int = 1,
        on: str | Sequence[str] = "epoch_end",
    ) -> None:
        if filename != "checkpoint":
            note_ignored("TuneReportCheckpointCallback(filename=...)", f"the file is {self.CHECKPOINT_NAME}")
        if frequency != 1:
            note_ignored("TuneReportCheckpointCallback(frequency=...)", "each report has a checkpoint")
        super().__init__(checkpoint_on=on, report_metrics_on=on, metrics=metrics)


class KerasReportCallback(ReportCheckpointCallback):
    """The same without checkpoints.

    Args:
        metrics: As of `ReportCheckpointCallback`.
        on: The hook or hooks.
    """

    def __init__(
        self,
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
        on: str | Sequence[str] = "epoch_end",
    ) -> None:
        super().__init__(checkpoint_on=(), report_metrics_on=on, metrics=metrics)


# The names that programs of Ray import from here.
TuneReportCallback = KerasReportCallback
TuneReportCheckpointCallback = KerasReportCheckpointCallback


def _hooks(given: str | Sequence[str]) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else list(given)
    return tuple(name.removeprefix("on_") for name in names)
