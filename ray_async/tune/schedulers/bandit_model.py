"""Bandit model: a Gaussian process over time and values, whose memory fades, for population based bandits."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

__all__ = ("BanditModel",)

# What the likelihood chooses from: length scales in the unit cube, how much is forgotten per unit of time, noise.
_LENGTHS = (0.1, 0.2, 0.5, 1.0)
_FORGETTING = (0.0, 0.05, 0.2)
_NOISES = (0.01, 0.1)
# Observations that are used, the latest ones, and values that are compared.
MAX_POINTS = 200
CANDIDATES = 1_000


class BanditModel:
    """A process that was fitted to gains.

    Args:
        times: Time of each observation, shape (n,).
        values: Its values in the unit cube, shape (n, d).
        gains: Its gain, shape (n,).
    """

    def __init__(self, times: Any, values: Any, gains: Any) -> None:
        self._times, self._values = times[-MAX_POINTS:], values[-MAX_POINTS:]
        gains = gains[-MAX_POINTS:]
        spread = gains.std()
        self._gains = (gains - gains.mean()) / (spread if spread > 0 else 1.0)
        # Times in units of their mean distance, so that forgetting means the same for seconds and for iterations.
        steps = np.unique(self._times)
        self._step = float(np.diff(steps).mean()) if len(steps) > 1 else 1.0
        settings = itertools.product(_LENGTHS, _FORGETTING, _NOISES)
        self._setting = max(settings, key=self._likelihood)

    def _kernel(self, times: Any, values: Any, other_times: Any, other_values: Any, setting: Any) -> Any:
        length, forgetting, _ = setting
        distances = ((values[:, None, :] - other_values[None, :, :]) ** 2).sum(axis=2)
        ages = np.abs(times[:, None] - other_times[None, :]) / self._step
        return np.exp(-distances / (2 * length**2)) * (1 - forgetting) ** (ages / 2)

    def _factor(self, times: Any, values: Any, setting: Any) -> Any:
        kernel = self._kernel(times, values, times, values, setting)
        return np.linalg.cholesky(kernel + (setting[2] + 1e-8) * np.eye(len(times)))

    def _likelihood(self, setting: Any) -> float:
        factor = self._factor(self._times, self._values, setting)
        whitened = np.linalg.solve(factor, self._gains)
        return float(-0.5 * whitened @ whitened - np.log(np.diag(factor)).sum())

    def best(self, now: float, pending: Any, generator: np.random.Generator) -> list[float]:
        """Values with the highest upper confidence bound.

        Args:
            now: The time for which they are.
            pending: Values that were given already and have no gain yet, shape (m, d): they lower the uncertainty.
            generator: Random numbers.
        """
        width = self._values.shape[1]
        near = self._values[np.argsort(self._gains)[-5:]]
        around = np.clip(near[generator.integers(0, len(near), 200)] + generator.normal(0, 0.05, (200, width)), 0, 1)
        candidates = np.concatenate([generator.random((CANDIDATES, width)), around])
        times = np.full(len(candidates), now)
        mean = self._mean(times, candidates)
        deviation = self._deviation(times, candidates, now, pending)
        beta = 0.2 + math.log(0.4 * max(len(self._gains), 3) + 1)
        chosen = candidates[int(np.argmax(mean + math.sqrt(beta) * deviation))]
        return [float(one) for one in chosen]

    def _mean(self, times: Any, candidates: Any) -> Any:
        factor = self._factor(self._times, self._values, self._setting)
        cross = self._kernel(times, candidates, self._times, self._values, self._setting)
        weights = np.linalg.solve(factor.T, np.linalg.solve(factor, self._gains))
        return cross @ weights

    def _deviation(self, times: Any, candidates: Any, now: float, pending: Any) -> Any:
        known_times = np.concatenate([self._times, np.full(len(pending), now)])
        known = np.concatenate([self._values, pending]) if len(pending) else self._values
        factor = self._factor(known_times, known, self._setting)
        cross = self._kernel(times, candidates, known_times, known, self._setting)
        explained = np.linalg.solve(factor, cross.T)
        return np.sqrt(np.maximum(1.0 - (explained**2).sum(axis=0), 1e-12))
