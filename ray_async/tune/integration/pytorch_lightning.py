"""Lightning integration: a callback of Lightning that reports its logged metrics at one of its hooks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ray_async.tune.integration.report_plan import ReportPlan

__all__ = ("TuneReportCallback", "TuneReportCheckpointCallback")


def _callback_class() -> Any:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return import_module(name).Callback
        except ModuleNotFoundError:
            continue
    raise ImportError("this callback needs Lightning: pip install lightning")


class TuneReportCheckpointCallback(_callback_class()):  # type: ignore[misc]
    """Reports what a module has logged (``self.log``) at a hook of Lightning's trainer, not in its trial run.

    Args:
        metrics: Names that are reported, or Lightning's names by the reported ones; None: all.
        filename: Name of the checkpoint's file.
        save_checkpoints: Whether each report comes with a checkpoint of the trainer.
        on: The hook or hooks: ``"validation_end"``, ``"train_epoch_end"`` and their like.

    Raises:
        ValueError: A hook that Lightning has not.

    Example:
        >>> callback = TuneReportCheckpointCallback({"loss": "val_loss"}, on="validation_end")  # doctest: +SKIP
    """

    def __init__(
        self,
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
        filename: str = "checkpoint",
        save_checkpoints: bool = True,
        on: str | Sequence[str] = "validation_end",
    ) -> None:
        super().__init__()
        self._plan = ReportPlan(metrics)
        self._filename = filename
        self._saves = save_checkpoints
        for hook in [on] if isinstance(on, str) else on:
            name = hook if hook.startswith("on_") else f"on_{hook}"
            if not hasattr(self, name):
                raise ValueError(f"Lightning has no hook {hook!r}")
            setattr(self, name, self._report)

    def _report(self, trainer: Any, pl_module: Any = None, *args: Any, **kwargs: Any) -> None:
        if trainer.sanity_checking:
            return
        metrics = self._plan.chosen(trainer.callback_metrics)
        if not self._saves:
            self._plan.report(metrics)
            return
        self._plan.report(metrics, lambda folder: trainer.save_checkpoint(os.path.join(folder, self._filename)))


class TuneReportCallback(TuneReportCheckpointCallback):
    """The same without checkpoints.

    Args:
        metrics: As of `TuneReportCheckpointCallback`.
        on: The same.
    """

    def __init__(
        self,
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
        on: str | Sequence[str] = "validation_end",
    ) -> None:
        super().__init__(metrics, save_checkpoints=False, on=on)
