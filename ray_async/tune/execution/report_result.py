"""Report results: what a trial has reported, with what is filled in."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

from ray_async.tune.execution import messages as m
from ray_async.tune.metric import MISSING, lookup

__all__ = ("FILLED", "filled", "missing_metric")

FILLED = frozenset(
    (
        "timestamp",
        "checkpoint_dir_name",
        "done",
        "training_iteration",
        "trial_id",
        "date",
        "time_this_iter_s",
        "time_total_s",
        "pid",
        "hostname",
        "node_ip",
        "config",
        "time_since_restore",
        "iterations_since_restore",
        "experiment_tag",
    )
)


def filled(report: m.TrialReport, facts: m.RunnerFacts, config: dict[str, Any], tag: str) -> dict[str, Any]:
    """The result of a report.

    Args:
        report: The report.
        facts: The process that the trial runs in.
        config: The trial's config.
        tag: The trial's tag.
    """
    result = m.unpack(report.metrics)
    iterations, seconds = report.since_restore
    # What is filled in comes after all that was reported, `config` first.
    result.pop("config", None)
    result["config"] = config
    result.setdefault("timestamp", int(report.timestamp))
    result["checkpoint_dir_name"] = report.checkpoint
    result["done"] = bool(result.get("done", report.done))
    result["training_iteration"] = report.iteration
    result["trial_id"] = report.trial_id
    result["date"] = _date(int(report.timestamp))
    result["time_this_iter_s"] = report.time_this_iteration
    result["time_total_s"] = report.time_total
    result["pid"], result["hostname"], result["node_ip"] = facts
    result["time_since_restore"] = seconds
    result["iterations_since_restore"] = iterations
    result["experiment_tag"] = tag
    return result


def missing_metric(result: Mapping[str, Any], required: Mapping[str, str]) -> ValueError | None:
    """The failure of a result that lacks a metric that decides.

    Args:
        result: The result.
        required: Who needs which metric.
    """
    for name, why in required.items():
        if name not in result and lookup(result, name) is MISSING:
            return ValueError(
                f"the trial did not report the metric {name!r}, which {why} needs. It reported "
                f"{sorted(set(result) - FILLED)}. (TUNE_DISABLE_STRICT_METRIC_CHECKING=1 allows that.)"
            )
    return None


@functools.lru_cache(maxsize=16)
def _date(second: int) -> str:
    return time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(second))
