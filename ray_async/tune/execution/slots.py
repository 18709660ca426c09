"""Slots: how many trials of one kind the cluster has room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray_async.tune.error import TuneError
from ray_async.tune.placement_groups import PlacementGroupFactory

__all__ = ("MAX_RUNNERS", "slots")

# A class of workers has room for so many.
MAX_RUNNERS = 200


def slots(factory: PlacementGroupFactory, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many trials fit at the same time.

    Args:
        factory: What a trial takes.
        nodes: What each node has in all, by resource.

    Raises:
        TuneError: Not even one, ever.

    Example:
        >>> slots(PlacementGroupFactory([{"CPU": 2}]), [{"CPU": 5}, {"CPU": 1}])
        2
    """
    for bundle in factory.bundles:
        if not any(_times(bundle, node) for node in nodes):
            raise TuneError(
                f"no node can ever run such a trial: it takes {bundle}, and the nodes have "
                f"{[_shown(node, factory.required_resources) for node in nodes]}"
            )
    if len(factory.bundles) == 1:
        count = sum(_times(factory.bundles[0], node) for node in nodes)
    else:
        total: dict[str, float] = {}
        for node in nodes:
            for name, amount in node.items():
                total[name] = total.get(name, 0.0) + amount
        count = _times(factory.required_resources, total)
        if not count:
            raise TuneError(
                f"the cluster can never run such a trial: it takes {factory.required_resources} in all, and the "
                f"cluster has {_shown(total, factory.required_resources)}"
            )
    return min(count, MAX_RUNNERS)


def _times(bundle: Mapping[str, float], node: Mapping[str, float]) -> int:
    return min((int(node.get(name, 0.0) / amount + 1e-9) for name, amount in bundle.items()), default=MAX_RUNNERS)


def _shown(node: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    return {name: node.get(name, 0.0) for name in ("CPU", *wanted)}
