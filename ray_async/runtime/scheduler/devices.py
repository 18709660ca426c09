"""Devices (GPU 0, GPU 1, ...) of one resource: which are free, and in which part."""

from __future__ import annotations

from collections.abc import Mapping

from ray_async.runtime.scheduler.resources import UNITS_PER_ONE

__all__ = ("DevicePool", "DeviceShares")

#: `(device index, units taken of it)` for each device of an allocation.
DeviceShares = tuple[tuple[int, int], ...]


class DevicePool:
    """The devices of one resource in one place (a node or a bundle).

    A part of a device stays on one device, the fullest that has room, so that whole devices stay free for those
    who need whole ones. An amount of one or more takes whole devices.

    Args:
        capacity: device index to units (10000 for a whole device).
    """

    __slots__ = ("capacity", "free")

    def __init__(self, capacity: Mapping[int, int]) -> None:
        self.capacity = dict(capacity)
        self.free = dict(capacity)

    @classmethod
    def of_units(cls, units: int) -> DevicePool:
        """Number the devices of a node from 0; a last device may be a part only."""
        whole, rest = divmod(units, UNITS_PER_ONE)
        capacity = dict.fromkeys(range(whole), UNITS_PER_ONE)
        if rest:
            capacity[whole] = rest
        return cls(capacity)

    def find(self, units: int) -> DeviceShares | None:
        """Return the devices that `take` would use, or None when there is no room (never for, say, one and a half)."""
        if units < UNITS_PER_ONE:
            roomy = [(free, index) for index, free in self.free.items() if free >= units]
            return ((min(roomy)[1], units),) if roomy else None
        count, rest = divmod(units, UNITS_PER_ONE)
        if rest:
            return None
        whole = sorted(index for index, free in self.free.items() if free >= UNITS_PER_ONE)[:count]
        return tuple((index, UNITS_PER_ONE) for index in whole) if len(whole) == count else None

    def take(self, shares: DeviceShares) -> None:
        """Mark what `find` returned as taken."""
        for index, units in shares:
            self.free[index] -= units

    def give_back(self, shares: DeviceShares) -> None:
        """Undo `take`."""
        for index, units in shares:
            self.free[index] += units
