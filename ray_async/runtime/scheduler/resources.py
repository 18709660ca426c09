"""Quantities of resources, kept as whole multiples of 1/10000 so that sums are exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ("DEVICE_RESOURCES", "EMPTY", "UNITS_PER_ONE", "ResourceSet", "from_units", "to_units")

UNITS_PER_ONE = 10_000

#: Resources that are made of concrete devices with an index; a part of one never spans two devices.
DEVICE_RESOURCES = frozenset({"GPU", "TPU", "NPU", "HPU", "neuron_cores"})


def to_units(name: str, quantity: float) -> int:
    """Return `quantity` as a whole number of 1/10000; ValueError when negative or finer than that."""
    if quantity < 0:
        raise ValueError(f"resource {name!r} has the negative quantity {quantity}")
    units = round(quantity * UNITS_PER_ONE)
    if units == 0 and quantity > 0:
        raise ValueError(f"resource {name!r}: {quantity} is finer than the granularity 0.0001")
    return units


def from_units(units: int) -> float:
    """Return the quantity that `units` stands for, for people to read."""
    return units / UNITS_PER_ONE


class ResourceSet:
    """An immutable, hashable amount of each of several resources; zero amounts are left out.

    Example:
        >>> ResourceSet.of({"CPU": 1, "GPU": 0.5}).to_dict()
        {'CPU': 1.0, 'GPU': 0.5}
    """

    __slots__ = ("_hash", "units")

    units: Mapping[str, int]

    def __init__(self, units: Mapping[str, int]) -> None:
        self.units = {name: amount for name, amount in units.items() if amount}
        self._hash = hash(frozenset(self.units.items()))

    @classmethod
    def of(cls, quantities: Mapping[str, float]) -> ResourceSet:
        """Build from plain numbers; ValueError for a negative quantity or one finer than 0.0001."""
        return cls({name: to_units(name, quantity) for name, quantity in quantities.items()})

    def to_dict(self) -> dict[str, float]:
        """Return the quantities as floats."""
        return {name: from_units(amount) for name, amount in self.units.items()}

    def fits_in(self, units: Mapping[str, int]) -> bool:
        """Say whether every amount is there in `units`."""
        return all(units.get(name, 0) >= amount for name, amount in self.units.items())

    def at_least(self, other: ResourceSet) -> ResourceSet:
        """Return the larger amount of each resource of the two."""
        names = self.units.keys() | other.units.keys()
        return ResourceSet({name: max(self[name], other[name]) for name in names})

    def __getitem__(self, name: str) -> int:
        return self.units.get(name, 0)

    def __add__(self, other: ResourceSet) -> ResourceSet:
        return ResourceSet({name: self[name] + other[name] for name in self.units.keys() | other.units.keys()})

    def __iter__(self) -> Iterator[str]:
        return iter(self.units)

    def __bool__(self) -> bool:
        return bool(self.units)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceSet) and self.units == other.units

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"ResourceSet({self.to_dict()})"


EMPTY = ResourceSet({})
