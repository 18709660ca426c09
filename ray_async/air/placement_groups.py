"""Placement groups of trials: what a trial's processes take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("PlacementGroupFactory", "resource_dict_to_pg_factory")

_NAMES = {"cpu": "CPU", "gpu": "GPU"}


class PlacementGroupFactory:
    """Bundles of resources that a trial takes: the first for itself, the others for what it starts.

    Args:
        bundles: Quantities by resource, for instance ``[{"CPU": 1}, {"CPU": 2, "GPU": 1}]``.
        strategy: As of placement groups: ``"PACK"``, ``"SPREAD"``, ``"STRICT_PACK"``, ``"STRICT_SPREAD"``.

    Raises:
        ValueError: There are no bundles, or all are empty.

    Example:
        >>> PlacementGroupFactory([{"CPU": 1}, {"CPU": 2}]).required_resources
        {'CPU': 3.0}
    """

    def __init__(
        self, bundles: Sequence[Mapping[str, float]], strategy: str = "PACK", *args: Any, **kwargs: Any
    ) -> None:
        if not bundles:
            raise ValueError("PlacementGroupFactory needs at least one bundle")
        cleaned = [{name: float(amount) for name, amount in bundle.items() if amount} for bundle in bundles]
        self.head_bundle_is_empty = not cleaned[0]
        self.bundles = cleaned[1:] if self.head_bundle_is_empty else cleaned
        if not self.bundles:
            raise ValueError(f"PlacementGroupFactory needs a bundle that is not empty, but got {list(bundles)}")
        self.strategy = strategy
        self.args, self.kwargs = args, kwargs
        named = tuple(tuple(sorted(bundle.items())) for bundle in self.bundles)
        self._key = named, strategy, self.head_bundle_is_empty
        self._hash = hash(self._key)

    @property
    def head_cpus(self) -> float:
        """CPUs of the trial itself."""
        return 0.0 if self.head_bundle_is_empty else self.bundles[0].get("CPU", 0.0)

    @property
    def head_bundle(self) -> dict[str, float]:
        """Resources of the trial itself."""
        return {} if self.head_bundle_is_empty else dict(self.bundles[0])

    @property
    def required_resources(self) -> dict[str, float]:
        """All that the bundles take together."""
        total: dict[str, float] = {}
        for bundle in self.bundles:
            for name, amount in bundle.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A placement group of these bundles."""
        from ray_async.util import placement_group

        return placement_group(self.bundles, self.strategy, *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, PlacementGroupFactory) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        # A hash of strings is another one in another process.
        bundles = [{}, *self.bundles] if self.head_bundle_is_empty else self.bundles
        return PlacementGroupFactory, (bundles, self.strategy, *self.args)

    def __repr__(self) -> str:
        return f"PlacementGroupFactory({self.bundles}, strategy={self.strategy!r})"


def resource_dict_to_pg_factory(
    resources: Mapping[str, float] | PlacementGroupFactory | None,
) -> PlacementGroupFactory:
    """Resources of a trial as a factory.

    Args:
        resources: Quantities by resource (``cpu`` and ``gpu`` in any case), a factory, or None for one CPU.

    Raises:
        ValueError: Not of these, or a quantity below 0.
    """
    if isinstance(resources, PlacementGroupFactory):
        return resources
    if resources is None:
        return PlacementGroupFactory([{"CPU": 1}])
    if not isinstance(resources, Mapping):
        raise ValueError(
            f"resources of a trial are a dict, for instance {{'cpu': 2, 'gpu': 1}}, or a PlacementGroupFactory, "
            f"but got {resources!r}"
        )
    bundle: dict[str, float] = {}
    further: Any = resources.get("custom_resources", {})
    for name, amount in [*resources.items(), *further.items()]:
        if name == "custom_resources":
            continue
        if amount < 0:
            raise ValueError(f"a trial cannot take {amount} of {name!r}")
        key = _NAMES.get(name.lower(), name)
        bundle[key] = bundle.get(key, 0.0) + float(amount)
    if not any(bundle.values()):
        return PlacementGroupFactory([{}, {"CPU": 0.001}]) if not bundle else PlacementGroupFactory([{"CPU": 0.001}])
    return PlacementGroupFactory([bundle])
