"""Autoscaling: how many replicas a deployment shall have. Pure: the time is handed in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ray_async.serve.config import AutoscalingConfig

__all__ = ("ScalingState", "decide", "desired_replicas")


@dataclass(frozen=True)
class ScalingState:
    """What is remembered between two looks.

    Args:
        target: How many replicas there shall be.
        samples: Times, and the requests that were ongoing then.
        above_since: Since when more replicas have been wanted without a break; None: they are not.
        below_since: The same for fewer.
    """

    target: int
    samples: tuple[tuple[float, float], ...] = ()
    above_since: float | None = None
    below_since: float | None = None


def desired_replicas(config: AutoscalingConfig, current: int, ongoing: float) -> int:
    """The number of replicas at which each has the target number of requests, within the bounds."""
    ratio = ongoing / (max(current, 1) * config.target_ongoing_requests)
    factor = config.upscaling_factor if ratio > 1 else config.downscaling_factor
    wanted = math.ceil(round(max(current, 1) * (1 + (ratio - 1) * factor), 9))
    return min(max(wanted, config.min_replicas), config.max_replicas)


def decide(config: AutoscalingConfig, state: ScalingState, now: float, ongoing: float) -> ScalingState:
    """The state after a look; its `target` changes once a demand has lasted for its delay.

    Args:
        config: The deployment's configuration.
        state: The state before.
        now: Seconds of any clock that does not go back.
        ongoing: Requests that are ongoing now, over all replicas.
    """
    samples = (*(item for item in state.samples if now - item[0] < config.look_back_period_s), (now, ongoing))
    average = sum(value for _, value in samples) / len(samples)
    # A burst is answered by what is there now, a lull by what there was on average.
    upward = desired_replicas(config, state.target, max(ongoing, average) if ongoing > average else ongoing)
    downward = desired_replicas(config, state.target, max(ongoing, average))
    above = (now if state.above_since is None else state.above_since) if upward > state.target else None
    below = (now if state.below_since is None else state.below_since) if downward < state.target else None
    after = replace(state, samples=samples, above_since=above, below_since=below)
    if above is not None and now - above >= config.upscale_delay_s:
        return replace(after, target=upward, above_since=None)
    if below is not None and now - below >= config.downscale_delay_s:
        return replace(after, target=downward, below_since=None)
    bounded = min(max(state.target, config.min_replicas), config.max_replicas)
    return replace(after, target=bounded)
