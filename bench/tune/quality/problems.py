"""Problems: learning curves that trials run along, by config and iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.tune.quality.functions import BRANIN_MINIMUM, HARTMANN6_MINIMUM, branin, hartmann6

__all__ = ("PROBLEMS", "Problem")


@dataclass(frozen=True)
class Problem:
    """Something that trials learn.

    Args:
        name: Its name.
        label: What its metric is.
        dimensions: How many numbers from 0 to 1 a config has.
        max_t: Iterations of a whole trial.
        learn: Gives the metric after each iteration; smaller is better.
        lowest: The least that there is; curves show how far a search is from it.
        seeds: How many seeds it gets at most.
        modules: What its workers import before the first trial.
    """

    name: str
    label: str
    dimensions: int
    max_t: int
    learn: Callable[[Any, int], Iterator[float]]
    lowest: float = 0.0
    seeds: int = 100
    modules: tuple[str, ...] = ()

    def points(self, seed: int, count: int) -> Any:
        """The configs of a seed, the same for all contenders.

        Args:
            seed: The seed.
            count: How many.
        """
        return np.random.default_rng(seed).random((count, self.dimensions))


def _falling(function: Callable[[Any], float], start: float) -> Callable[[Any, int], Iterator[float]]:
    """Curves that fall from a common start towards the function's value, some sooner and some later, with noise."""

    def learn(point: Any, seed: int) -> Iterator[float]:
        random = np.random.default_rng([seed, *(int(part * 2**31) for part in point)])
        last, speed = function(point), 0.3 + 0.9 * random.random()
        for iteration in range(1, 82):
            yield last + (start - last) * iteration**-speed + 0.01 * start * abs(random.standard_normal()) / iteration

    return learn


def _network(point: Any, seed: int) -> Iterator[float]:
    """A small network of torch on scikit-learn's digits: share of others told wrongly."""
    import torch
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.data))
    pixels = torch.tensor(digits.data[order] / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target[order])
    generator = torch.manual_seed(seed)
    width = int(4 * 2 ** (4 * point[3]))
    model = torch.nn.Sequential(torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, 10))
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=10 ** (-4 + 4 * point[0]),
        momentum=0.99 * point[1],
        weight_decay=10 ** (-6 + 5 * point[2]),
    )
    while True:
        for batch in torch.randperm(1000, generator=generator).split(100):
            loss = torch.nn.functional.cross_entropy(model(pixels[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # Not around the yield: what this context switches off stays off for whoever goes on meanwhile.
        with torch.no_grad():
            wrong = float((model(pixels[1000:]).argmax(1) != labels[1000:]).float().mean())
        yield wrong


PROBLEMS = (
    Problem("branin", "distance from Branin's minimum", 2, 81, _falling(branin, 60.0), BRANIN_MINIMUM),
    Problem("hartmann6", "distance from Hartmann6's minimum", 6, 81, _falling(hartmann6, 0.5), HARTMANN6_MINIMUM),
    Problem("digits", "digits told wrongly (torch)", 4, 27, _network, seeds=5, modules=("torch", "sklearn.datasets")),
)
