"""A small program for an installed ray_async: one task, one actor, one shared array.

Run by `make wheel` and by cibuildwheel in a clean environment, away from the source tree.
"""

import sys
from pathlib import Path

import numpy as np

import ray_async as ray


@ray.remote
def total(values: "np.ndarray[tuple[int], np.dtype[np.float64]]", factor: int) -> float:
    return float(values.sum()) * factor


@ray.remote
class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self, amount: int) -> int:
        self.count += amount
        return self.count


def main() -> None:
    ray.init(num_cpus=2)
    values = ray.put(np.arange(100_000, dtype=np.float64))
    totals = ray.get([total.remote(values, factor) for factor in range(10)])
    expected = [float(sum(range(100_000))) * factor for factor in range(10)]
    if totals != expected:
        raise SystemExit(f"tasks returned {totals}, not {expected}")
    counter = Counter.remote()
    counts = ray.get([counter.add.remote(1) for _ in range(100)])
    if counts != list(range(1, 101)):
        raise SystemExit(f"the actor returned {counts}")
    ray.shutdown()
    print(f"ray_async of {Path(ray.__file__).parent} works under Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
