"""A parameter server: workers compute gradients of their part of the data, an actor applies them as they come.

    python -m examples.parameter_server [--workers N] [--steps N] [--synchronous]

Asynchronously, each worker gets the weights of the moment for its next step, and nobody waits for the slowest. With
`--synchronous` a step is one round of all workers. The model tells the handwritten digits that scikit-learn ships.
"""

import argparse
from typing import Any

import numpy as np

import ray_async as ray

__all__ = ("Server", "Worker", "accuracy", "digits", "main")

CLASSES = 10
RATE = 0.5


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels from 0 to 1 with a constant, shape (n, 65), and labels: 1,400 to learn from, the others to test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.data))
    pixels = np.hstack([found.data / 16, np.ones((len(found.data), 1))])[order]
    labels = found.target[order]
    return pixels[:1400], labels[:1400], pixels[1400:], labels[1400:]


def probabilities(pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The softmax of a linear model: shape (n, 10)."""
    scores = pixels @ weights
    powers = np.exp(scores - scores.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares


def accuracy(pixels: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The share that is told right."""
    return float((probabilities(pixels, weights).argmax(1) == labels).mean())


@ray.remote
class Server:
    """Holds the weights."""

    def __init__(self, size: int) -> None:
        self.weights = np.zeros((size, CLASSES))

    def apply(self, *gradients: np.ndarray) -> np.ndarray:
        """Take a step against the mean of the gradients; gives the weights after it."""
        self.weights -= RATE * np.mean(gradients, axis=0)
        return self.weights

    def current(self) -> np.ndarray:
        """The weights."""
        return self.weights


@ray.remote
class Worker:
    """Has a part of the data, and draws batches from it."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, seed: int) -> None:
        self.pixels, self.labels, self.draw = pixels, labels, np.random.default_rng(seed)

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Of the cross entropy of a batch of 64."""
        chosen = self.draw.integers(len(self.labels), size=64)
        pixels = self.pixels[chosen]
        error = probabilities(pixels, weights) - np.eye(CLASSES)[self.labels[chosen]]
        step: np.ndarray = pixels.T @ error / len(chosen)
        return step


def train(server: Any, workers: list[Any], steps: int, synchronous: bool) -> int:
    """Train for so many gradients, and give their number; they and the weights pass by reference, not through here."""
    weights, done = server.current.remote(), 0
    if synchronous:
        while done + len(workers) <= steps:
            weights = server.apply.remote(*(worker.gradient.remote(weights) for worker in workers))
            done += len(workers)
        ray.get(weights)
        return done
    running = {worker.gradient.remote(weights): worker for worker in workers}
    while done < steps:
        (ready,), _ = ray.wait(list(running), num_returns=1)
        worker = running.pop(ready)
        running[worker.gradient.remote(server.apply.remote(ready))] = worker
        done += 1
    ray.wait(list(running), num_returns=len(running))
    return done


def main() -> None:
    """Train, and say how well."""
    parser = argparse.ArgumentParser(description="Train a model by a parameter server and workers.")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1200, help="gradients, of all workers together (1200)")
    parser.add_argument("--synchronous", action="store_true", help="in rounds")
    options = parser.parse_args()
    ray.init(num_cpus=options.workers + 1)
    pixels, labels, test_pixels, test_labels = digits()
    server = Server.remote(pixels.shape[1])
    parts = np.array_split(np.arange(len(labels)), options.workers)
    workers = [Worker.remote(pixels[part], labels[part], seed) for seed, part in enumerate(parts)]
    print(f"before: {accuracy(test_pixels, test_labels, ray.get(server.current.remote())):.3f} told right")
    count = train(server, workers, options.steps, options.synchronous)
    print(f"after {count} gradients of {options.workers} workers: ", end="")
    print(f"{accuracy(test_pixels, test_labels, ray.get(server.current.remote())):.3f} told right")
    ray.shutdown()


if __name__ == "__main__":
    main()
