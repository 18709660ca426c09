"""Classes under the decorator, as programs write them: mypy with the plugin, and pyright, take them as they are."""

from typing import assert_type

import ray_async as ray


@ray.remote
class Counter:
    def __init__(self, start: int) -> None:
        self.n: int = start

    def add(self, by: int) -> int:
        self.n += by
        return self.n


@ray.remote(num_cpus=2)
class Empty:
    pass


async def use() -> None:
    counter = Counter.remote(1)
    await counter.add.remote(2)
    await Counter.options(name="n").remote(1).add.remote(by=ray.put(2))
    ray.kill(counter)
    ray.kill(Empty.remote())


@ray.remote
def text(a: int, b: str = "") -> str:
    return f"{a}{b}"


def references_by_keyword() -> None:
    assert_type(text.remote(a=ray.put(1)), ray.ObjectRef[str])
    assert_type(text.remote(1, b=ray.put("x")), ray.ObjectRef[str])
    assert_type(text.remote(ray.put(1), b=ray.put("x")), ray.ObjectRef[str])


@ray.remote
def many(a: int, b: int, c: int, d: int, e: int, f: int) -> bytes:
    return bytes((a, b, c, d, e, f))


def references_at_any_position() -> None:
    ref = ray.put(1)
    assert_type(many.remote(1, 2, 3, ref, 5, 6), ray.ObjectRef[bytes])
    assert_type(many.remote(1, 2, 3, 4, 5, ref), ray.ObjectRef[bytes])
