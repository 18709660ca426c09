"""Who may call: many threads, code under a running loop, workers."""

import asyncio
import threading
from typing import Any

import ray_async as ray
from tests.gate import Gate


@ray.remote
def add(x: int, y: int) -> int:
    return x + y


@ray.remote
class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


def test_many_threads_at_once() -> None:
    errors: list[BaseException] = []
    counter = Counter.remote()

    def work(n: int) -> None:
        try:
            for i in range(100):
                ref = ray.put(bytes([n]) * (1 + i * 10))
                assert ray.get(add.remote(n, i)) == n + i
                ready, rest = ray.wait([add.remote(i, 1), add.remote(i, 2)], num_returns=2)
                assert (ray.get(ready), rest) == ([i + 1, i + 2], [])
                assert ray.get(ref) == bytes([n]) * (1 + i * 10)
                ray.get(counter.add.remote())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ray.get(counter.add.remote()) == 801


def test_threads_share_one_reference() -> None:
    gate = Gate.remote()
    ref = gate.wait.remote()
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(ray.get(ref))) for _ in range(10)]
    for thread in threads:
        thread.start()
    ray.get(gate.open.remote())
    for thread in threads:
        thread.join()
    assert results == ["open"] * 10


def test_a_cell_of_a_notebook_blocks_its_running_loop() -> None:
    """A notebook runs cells on the kernel's loop: the blocking calls work there, and awaiting does too."""

    def cell() -> Any:
        assert asyncio.get_running_loop().is_running()
        ready, _ = ray.wait([add.remote(1, 2)])
        return ray.get(ready[0])

    async def kernel() -> list[Any]:
        first = cell()
        awaited = await add.remote(3, 4)
        return [first, awaited, cell()]

    assert asyncio.run(kernel()) == [3, 7, 3]


def test_inside_workers() -> None:
    @ray.remote
    def task() -> tuple[int, list[int]]:
        results: list[int] = []
        threads = [threading.Thread(target=lambda: results.append(ray.get(add.remote(1, 1)))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ray.get(add.remote(ray.put(1), 2)), results

    assert ray.get(task.remote()) == (3, [2, 2, 2, 2])
