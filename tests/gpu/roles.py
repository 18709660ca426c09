"""Actors that make, keep, change and pass on arrays on fake devices."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from ray_async.gpu.fake import memory
from ray_async.gpu.fake.backend import FakeBackend

__all__ = ("Holder", "all_free", "state_of")


def state_of() -> dict[str, int]:
    """What this process holds of devices: bytes of its own, and open allocations of others."""
    return {"bytes": sum(map(memory.bytes_used, range(len(fake.devices())))), "open": memory.open_bases()}


def all_free(*actors: Any) -> bool:
    """Whether neither this process nor any of some actors holds anything."""
    states = [state_of(), *ray.get([actor.state.remote() for actor in actors])]
    return all(state == {"bytes": 0, "open": 0} for state in states)


@ray.remote
class Holder:
    """Keeps arrays by name."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.streams: list[fake.Stream] = []

    def make(self, values: Any, **options: Any) -> Any:
        """A new array."""
        return fake.array(values, **options)

    def make_and_keep(self, name: str, values: Any, **options: Any) -> Any:
        """A new array, which stays here as well."""
        self.kept[name] = fake.array(values, **options)
        return self.kept[name]

    def take(self, name: str, value: Any) -> int:
        """Keep what has arrived; returns its address."""
        self.kept[name] = value
        return int(getattr(value, "pointer", 0))

    def take_by(self, name: str, refs: list[Any]) -> None:
        """Keep what a reference refers to."""
        self.kept[name] = ray.get(refs[0])

    def give(self, name: str, part: slice | None = None) -> Any:
        """What is kept, or a slice of it."""
        return self.kept[name] if part is None else self.kept[name][part]

    def put(self, name: str) -> list[Any]:
        """A reference to what is kept."""
        return [ray.put(self.kept[name])]

    def read(self, name: str) -> Any:
        """The values."""
        return self.kept[name].get()

    def values_of(self, value: Any) -> Any:
        """The values of what has arrived."""
        return value.get()

    def sum_of(self, value: Any) -> float:
        """Their sum."""
        return float(np.sum(value.get(), dtype=np.float64))

    def write(self, name: str, value: Any) -> None:
        """Fill it, and wait until that is done."""
        self.kept[name].fill(value)
        fake.current_stream().synchronize()

    def hold(self) -> None:
        """Let the default stream stand still."""
        fake.current_stream().hold()

    def let_go(self) -> None:
        """Let it go on."""
        fake.current_stream().let_go()

    def fill_later(self, name: str, value: Any) -> Any:
        """Give an array whose last write has not happened, and cannot before `let_go`."""
        fake.current_stream().hold()
        self.kept[name].fill(value)
        return self.kept[name]

    def drop(self, name: str) -> None:
        """Keep it no more."""
        del self.kept[name]

    def state(self) -> dict[str, int]:
        """What this process holds of devices."""
        return state_of()

    def counts(self) -> dict[str, int]:
        """Calls of the fake device by this process."""
        return fake.counts()

    def pid(self) -> int:
        """The process."""
        return os.getpid()

    def devices(self) -> list[str]:
        """UUIDs of the devices that this process sees."""
        return list(fake.devices())

    def where(self, values: list[Any]) -> Any:
        """UUID of the device that an array lies on, and its values."""
        return memory.base_at(values[0].pointer)[0].device, values[0].get()

    def keep_reference(self, values: Any) -> list[Any]:
        """A reference to a new array, made here."""
        return [ray.put(fake.array(values))]

    def break_copies(self) -> None:
        """Let no copy to the host succeed from now on."""

        def refuse(*args: Any) -> Any:
            raise fake.FakeDeviceError("on purpose")

        pytest.MonkeyPatch().setattr(FakeBackend, "read", refuse)  # of this process alone, which ends with the test
