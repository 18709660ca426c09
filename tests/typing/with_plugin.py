"""Types that mypy sees with the plugin, and calls that it refuses."""

from collections.abc import Iterator
from typing import Any, TypeVar, assert_type

import ray_async as ray
from ray_async import ActorHandle, ObjectRef, ObjectRefGenerator

T = TypeVar("T")


@ray.remote
class Counter:
    def __init__(self, start: int, *, step: int = 1) -> None:
        self.n = start

    def add(self, by: int, *, twice: bool = False) -> int:
        return self.n + by

    async def later(self, by: int) -> str:
        return str(self.add(by))

    def items(self) -> Iterator[bytes]:
        yield b""

    @ray.method(num_returns=2)
    def pair(self) -> tuple[int, str]:
        return 1, ""

    @staticmethod
    def plain(x: float) -> float:
        return x


@ray.remote(num_cpus=2)
class Child(ray.remote(Counter).__ray_actor_class__):  # type: ignore[misc]
    pass


@ray.remote
def same(x: T) -> T:
    return x


@ray.remote(num_cpus=2)
def same_too(x: T) -> T:
    return x


counter = Counter.remote(1)
assert_type(counter, ActorHandle[Counter])
assert_type(Counter.remote(ray.put(1), step=ray.put(2)), ActorHandle[Counter])
assert_type(counter.add.remote(2), ObjectRef[int])
assert_type(counter.add.remote(by=ray.put(2), twice=True), ObjectRef[int])
assert_type(counter.add.options(name="n").remote(2), ObjectRef[int])
assert_type(counter.later.remote(2), ObjectRef[str])
assert_type(counter.items.remote(), ObjectRefGenerator[bytes])
assert_type(counter.pair.remote(), Any)
assert_type(counter.plain.remote(1.5), ObjectRef[float])
assert_type(Counter.options(num_cpus=2).remote(1).add.remote(2), ObjectRef[int])
assert_type(same.remote(1), ObjectRef[int])
assert_type(same.remote(ray.put("x")), ObjectRef[str])
assert_type(same_too.remote(ray.put("x")), ObjectRef[str])

counter.nothing.remote()  # type: ignore[misc]
counter.add.remote("x")  # type: ignore[call-overload]
counter.add.remote(ray.put("x"))  # type: ignore[arg-type]
counter.add(1)  # type: ignore[operator]
Counter.remote("x")  # type: ignore[arg-type]
Counter.remote()  # type: ignore[call-arg]
Counter.options(num_cpu=2)  # type: ignore[call-arg]
