"""Settings of a search: what decides about its trials, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ray_async.air.config import CheckpointConfig, FailureConfig
from ray_async.tune.execution.stop_criteria import StopCriteria

__all__ = ("SearchSettings",)


@dataclass
class SearchSettings:
    """What decides about trials, beside the searcher and the scheduler.

    Args:
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        stop: What ends trials.
        failure: How failures are met.
        checkpoint: Which checkpoints stay.
        max_concurrent: How many trials run at once at most; 0: as many as there is room for.
        strict_metrics: Whether a trial fails that does not report the metric.
        required: Metrics that trials must report, by who needs them.
    """

    metric: str | None = None
    mode: str | None = None
    stop: StopCriteria = field(default_factory=StopCriteria)
    failure: FailureConfig = field(default_factory=FailureConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    max_concurrent: int = 0
    strict_metrics: bool = True
    required: dict[str, Any] = field(default_factory=dict)
