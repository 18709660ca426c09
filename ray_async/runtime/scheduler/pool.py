"""A place that resources are taken from: a node, or one bundle reserved on a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ray_async.runtime.scheduler.devices import DevicePool, DeviceShares
from ray_async.runtime.scheduler.resources import DEVICE_RESOURCES, ResourceSet

if TYPE_CHECKING:
    from ray_async.runtime.scheduler.demands import Demand
    from ray_async.runtime.scheduler.grants import Grant
    from ray_async.runtime.scheduler.node_table import NodeRow

__all__ = ("AcceleratorIds", "Allocation", "ResourcePool")

#: Resource name to device indices, sorted by name; hashable, so that it can name a pool of workers.
AcceleratorIds = tuple[tuple[str, tuple[int, ...]], ...]


class Allocation:
    """What one lease, actor or bundle has taken out of a pool. `ResourcePool.release` ends it."""

    __slots__ = ("cpu_lent", "devices", "pool", "resources")

    def __init__(self, pool: ResourcePool, resources: ResourceSet, devices: Mapping[str, DeviceShares]) -> None:
        self.pool = pool
        self.resources = resources
        self.devices = devices
        self.cpu_lent = False

    @property
    def accelerator_ids(self) -> AcceleratorIds:
        """The devices of the allocation by resource name."""
        return tuple((name, tuple(index for index, _ in self.devices[name])) for name in sorted(self.devices))

    def held(self, name: str) -> int:
        """Units of `name` that the allocation keeps from others right now."""
        return 0 if self.cpu_lent and name == "CPU" else self.resources[name]


class ResourcePool:
    """Exact accounts of one place: total, available, devices, who holds what and for whom it is held back.

    `available` is never negative, with one exception: a task that was blocked and goes on takes its CPU again at
    once, so CPU may be overcommitted until leases that were asked back have returned.
    """

    __slots__ = (
        "available",
        "bundle",
        "closed",
        "devices",
        "grants",
        "holds",
        "node",
        "reservation",
        "reservations",
        "total",
    )

    def __init__(
        self, node: NodeRow, total: ResourceSet, devices: Mapping[str, DevicePool], bundle: int | None
    ) -> None:
        self.node = node
        self.total: dict[str, int] = dict(total.units)
        self.available: dict[str, int] = dict(total.units)
        self.devices = devices
        self.bundle = bundle
        self.closed = False
        self.grants: dict[Grant, None] = {}
        self.holds: dict[Demand, ResourceSet] = {}
        #: Bundles that were reserved here (of a node).
        self.reservations: dict[Allocation, None] = {}
        #: What the node gave for it (of a bundle).
        self.reservation: Allocation | None = None

    @classmethod
    def for_node(cls, node: NodeRow, total: ResourceSet) -> ResourcePool:
        """The whole of a node; its devices are numbered from 0."""
        return cls(node, total, {n: DevicePool.of_units(total[n]) for n in total if n in DEVICE_RESOURCES}, None)

    @classmethod
    def for_bundle(cls, reservation: Allocation, index: int) -> ResourcePool:
        """What a placement group reserved on a node for its bundle `index`, with its concrete devices."""
        devices = {name: DevicePool(dict(shares)) for name, shares in reservation.devices.items()}
        pool = cls(reservation.pool.node, reservation.resources, devices, index)
        pool.reservation = reservation
        reservation.pool.reservations[reservation] = None
        return pool

    def close(self) -> None:
        """Take no more; a bundle's reservation goes back to its node once nothing runs in it."""
        self.closed = True
        self.end_if_unused()

    def end_if_unused(self) -> None:
        """Give the reservation of a closed and unused bundle back to its node."""
        if self.closed and not self.grants and self.reservation is not None:
            self.reservation.pool.release(self.reservation)
            del self.reservation.pool.reservations[self.reservation]
            self.reservation = None

    def could_ever_fit(self, request: ResourceSet) -> bool:
        """Say whether the pool would have room for `request` if nothing else ran."""
        return request.fits_in(self.total) and all(
            DevicePool(devices.capacity).find(request[name]) is not None
            for name, devices in self.devices.items()
            if request[name]
        )

    def fits(self, request: ResourceSet, demand: Demand | None = None) -> bool:
        """Say whether `request` can be taken now without touching what is held back for others than `demand`."""
        available = self.available
        for name, amount in request.units.items():
            if available.get(name, 0) < amount:
                return False
        if self.closed or (self.holds and not self._fits_beside_holds(request, demand)):
            return False
        return all(devices.find(request[name]) is not None for name, devices in self.devices.items() if request[name])

    def times(self, request: ResourceSet, demand: Demand | None = None) -> int:
        """How often ``request`` fits now beside what is held back for others than ``demand``; at most 2**16."""
        if not self.fits(request, demand):
            return 0
        free = ((self.available.get(n, 0) - self.held_back(n, demand)) // a for n, a in request.units.items())
        return min(free, default=1 << 16)

    def accelerators_for(self, request: ResourceSet) -> AcceleratorIds | None:
        """Return the devices that `take` would pick now; None when there are not enough."""
        found: list[tuple[str, tuple[int, ...]]] = []
        for name in sorted(self.devices):
            if request[name]:
                shares = self.devices[name].find(request[name])
                if shares is None:
                    return None
                found.append((name, tuple(index for index, _ in shares)))
        return tuple(found)

    def held_back(self, name: str, demand: Demand | None) -> int:
        """Units of `name` that are kept free for others than `demand`."""
        return sum(request[name] for owner, request in self.holds.items() if owner is not demand)

    def _fits_beside_holds(self, request: ResourceSet, demand: Demand | None) -> bool:
        return all(
            self.available.get(name, 0) - self.held_back(name, demand) >= amount
            for name, amount in request.units.items()
        )

    def take(self, request: ResourceSet) -> Allocation | None:
        """Take `request` out of the pool, or return None (and change nothing) when it does not fit."""
        if self.closed or not request.fits_in(self.available):
            return None
        devices: dict[str, DeviceShares] = {}
        for name, pool in self.devices.items():
            if request[name]:
                shares = pool.find(request[name])
                if shares is None:
                    return None
                devices[name] = shares
        for name, amount in request.units.items():
            self.available[name] -= amount
        for name, shares in devices.items():
            self.devices[name].take(shares)
        return Allocation(self, request, devices)

    def release(self, allocation: Allocation) -> None:
        """Put everything that `allocation` still holds back into the pool."""
        for name in allocation.resources:
            self.available[name] += allocation.held(name)
        for name, shares in allocation.devices.items():
            self.devices[name].give_back(shares)

    def lend_cpu(self, allocation: Allocation) -> None:
        """Give the CPU of a blocked task to others; its devices and other resources stay with it."""
        if not allocation.cpu_lent:
            self.available_add("CPU", allocation.resources["CPU"])
            allocation.cpu_lent = True

    def retake_cpu(self, allocation: Allocation) -> None:
        """Take the CPU back for a task that goes on, beyond what is available if need be."""
        if allocation.cpu_lent:
            self.available_add("CPU", -allocation.resources["CPU"])
            allocation.cpu_lent = False

    def available_add(self, name: str, units: int) -> None:
        """Change what is available of `name`, if the allocation had any of it."""
        if units:
            self.available[name] += units

    def utilization(self, request: ResourceSet) -> float:
        """Largest used share, 0 to 1 or more, among CPU, memory and what `request` asks for."""
        highest = 0.0
        for name, total in self.total.items():
            if total and (name in ("CPU", "memory") or name in request.units):
                highest = max(highest, (total - self.available[name]) / total)
        return highest
