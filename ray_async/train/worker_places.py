"""Worker places: the placement group of a run outside of Tune."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray_async as ray
from ray_async.air.config import ScalingConfig
from ray_async.train.error import TrainingFailedError
from ray_async.util import placement_group, remove_placement_group

__all__ = ("reserved",)

_logger = logging.getLogger("ray_async.train")
# Seconds between two notes that a run waits.
NOTE_SECONDS = 30.0


@contextlib.contextmanager
def reserved(scaling: ScalingConfig) -> Iterator[Any]:
    """A placement group for the workers of a run, removed at the end.

    Args:
        scaling: How many there are, and what each takes.

    Raises:
        TrainingFailedError: The cluster can never hold them.
    """
    bundles = [scaling.worker_bundle for _ in range(scaling.num_workers)]
    _check(bundles, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    group = placement_group(bundles, scaling.placement_strategy)
    try:
        while not group.wait(NOTE_SECONDS):
            _logger.warning(
                "training waits for %d x %s; free are %s", len(bundles), bundles[0], ray.available_resources()
            )
        yield group
    finally:
        remove_placement_group(group)


def _check(bundles: Sequence[Mapping[str, float]], nodes: Sequence[Mapping[str, float]]) -> None:
    for name, amount in bundles[0].items():
        if not any(node.get(name, 0) >= amount for node in nodes):
            raise TrainingFailedError(
                f"no node can ever hold such a worker: it takes {dict(bundles[0])}, and the most that a node has of "
                f"{name} is {max((node.get(name, 0) for node in nodes), default=0)}"
            )
        whole = sum(node.get(name, 0) for node in nodes)
        if whole < amount * len(bundles):
            raise TrainingFailedError(
                f"the cluster can never hold these workers: {len(bundles)} take {amount * len(bundles)} {name}, and "
                f"it has {whole}"
            )
