"""Counts of the batches that a replica runs."""

from __future__ import annotations

from typing import Any

from ray_async.serve.context import current_replica

__all__ = ("count_batch",)


def count_batch(function: Any, size: int, most: int, waiting: int, wait_s: float, run_s: float) -> None:
    """Count a batch that was run, if somebody wants that.

    Args:
        function: The batch function.
        size: How many items it had.
        most: How many it could have had.
        waiting: How many items wait now.
        wait_s: How long its first item has waited, in seconds.
        run_s: How long it ran, in seconds.
    """
    counts, context = current_replica.counts, current_replica.context
    if counts is None or context is None:
        return
    name = getattr(getattr(function, "func", function), "__name__", "")
    labels = (context.app_name, context.deployment, context.replica_id, name)
    counts.count("serve_batches_processed", labels)
    counts.observe("serve_actual_batch_size", labels, size)
    counts.observe("serve_batch_utilization_percent", labels, 100 * size / most)
    counts.set("serve_batch_queue_length", labels, waiting)
    counts.observe("serve_batch_wait_time_ms", labels, wait_s * 1000)
    counts.observe("serve_batch_execution_time_ms", labels, run_s * 1000)
