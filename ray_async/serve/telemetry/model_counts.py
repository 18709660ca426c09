"""Counts of models that a replica loads and lets go."""

from __future__ import annotations

from ray_async.serve.context import current_replica

__all__ = ("count_model",)


def count_model(family: str) -> None:
    """Count a model, if somebody wants that.

    Args:
        family: The family that it belongs to.
    """
    counts, context = current_replica.counts, current_replica.context
    if counts is not None and context is not None:
        counts.count(family, (context.app_name, context.deployment, context.replica_id))
