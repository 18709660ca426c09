"""Autoscaling: how many replicas a deployment shall have. Pure: the time is handed in."""

from __future__ import annotations

import math
from dataclasses import replace

from ray_async.serve.autoscaling_config import AutoscalingConfig
from ray_async.serve.frozen_dataclass import dataclass

__all__ = (
    "ScalingState",
    "aggregate",
    "at_capacity",
    "decide",
    "desired_replicas",
    "number_at_capacity",
    "redeployed",
    "smoothed",
)

_ROUNDING = 1e-9  # seconds by which a difference of two times may be wrong


@dataclass(frozen=True)
class ScalingState:
    """What is remembered between two looks.

    Args:
        target: How many replicas there shall be.
        samples: Times, and the requests that were ongoing then.
        above_since: Since when more replicas have been wanted without a break; None: they are not.
        below_since: The same for fewer.
        idle_since: Since when nothing has been ongoing.
        raised_at: When the target was raised last.
        lowered_at: When it was lowered last.
    """

    target: int
    samples: tuple[tuple[float, float], ...] = ()
    above_since: float | None = None
    below_since: float | None = None
    idle_since: float | None = None
    raised_at: float | None = None
    lowered_at: float | None = None


def desired_replicas(config: AutoscalingConfig, current: int, ongoing: float) -> int:
    """The number of replicas at which each has the target number of requests, smoothed, within the bounds."""
    return smoothed(config, current, ongoing / config.target_ongoing_requests)


def smoothed(config: AutoscalingConfig, current: int, wanted: float) -> int:
    """The number of replicas that is a step from the current one to the wanted one, within the bounds.

    A step moves the number by one at least, and does not reach zero while anything is wanted.
    """
    if current == 0:
        number = math.ceil(wanted)
    else:
        factor = config.factor_up if wanted > current else config.factor_down
        number = math.ceil(round(current + (wanted - current) * factor, 9))
        if math.ceil(wanted) < current:
            number = min(number, current - 1)
    if wanted > 0:
        number = max(number, 1)
    return min(max(number, config.min_replicas), config.max_replicas)


def number_at_capacity(number: int, capacity: float | None) -> int:
    """The share of a number of replicas: rounded, halves upwards, and one at least, unless there shall be none.

    Args:
        number: How many there are at full capacity.
        capacity: The share in percent; None: all.
    """
    if capacity is None or number == 0:
        return number
    return max(1, math.floor(number * capacity / 100 + 0.5)) if capacity > 0 else 0


def at_capacity(config: AutoscalingConfig, capacity: float | None) -> AutoscalingConfig:
    """The configuration with its bounds at a share of the capacity, which is above zero."""
    if capacity is None:
        return config
    least, most = (number_at_capacity(number, capacity) for number in (config.min_replicas, config.max_replicas))
    initial = config.initial_replicas
    if initial is not None:
        initial = min(max(number_at_capacity(initial, capacity), least), most)
    return replace(config, min_replicas=least, max_replicas=most, initial_replicas=initial)


def aggregate(config: AutoscalingConfig, samples: tuple[tuple[float, float], ...]) -> float:
    """The samples of the look-back period as one number."""
    values = [value for _, value in samples]
    if not values:
        return 0.0
    if config.aggregation_function == "mean":
        return sum(values) / len(values)
    return max(values) if config.aggregation_function == "max" else min(values)


def decide(
    config: AutoscalingConfig, state: ScalingState, now: float, ongoing: float, wanted: float | None = None
) -> ScalingState:
    """The state after a look; its `target` changes once a demand has lasted for its delay.

    From zero to the first replica there is no delay. The last replica goes when nothing was ongoing for its own delay,
    whatever was in the look-back period.

    Args:
        config: The deployment's configuration.
        state: The state before.
        now: Seconds of any clock that does not go back.
        ongoing: Requests that are ongoing now, waiting ones among them, over all replicas.
        wanted: How many replicas a policy wants; None: as many as the requests ask for.
    """
    samples = (*(item for item in state.samples if now - item[0] < config.look_back_period_s), (now, ongoing))
    state = replace(state, samples=samples)
    target = min(max(state.target, config.min_replicas), config.max_replicas)
    if target == 0 and ongoing > 0:
        return _moved(state, max(1, min(math.ceil(config.factor_up), config.max_replicas)), now)
    upward, downward = _demands(config, target, samples, ongoing, wanted)
    busy = ongoing > 0 if wanted is None else wanted > 0
    idle = None if busy else (now if state.idle_since is None else state.idle_since)
    above = (now if state.above_since is None else state.above_since) if upward > target else None
    below = (now if state.below_since is None else state.below_since) if max(downward, 1) < target else None
    after = replace(state, target=target, above_since=above, below_since=below, idle_since=idle)
    if _lasted(above, now, config.upscale_delay_s):
        return _moved(after, upward, now)
    if _lasted(below, now, config.downscale_delay_s):
        return _moved(after, max(downward, 1), now)
    if target == 1 and config.min_replicas == 0 and _lasted(idle, now, config.delay_to_zero_s):
        return _moved(after, 0, now)
    return after


def _demands(
    config: AutoscalingConfig,
    target: int,
    samples: tuple[tuple[float, float], ...],
    ongoing: float,
    wanted: float | None,
) -> tuple[int, int]:
    """How many replicas there should be at least, and at most."""
    if wanted is not None:
        number = smoothed(config, target, wanted)
        return number, number
    load = aggregate(config, samples)
    if config.aggregation_function != "mean":
        number = desired_replicas(config, target, load)
        return number, number
    # A burst is answered by what is there now, a lull by what there was on average.
    return desired_replicas(config, target, ongoing), desired_replicas(config, target, max(ongoing, load))


def _lasted(since: float | None, now: float, delay: float) -> bool:
    return since is not None and now - since >= delay - _ROUNDING


def _moved(state: ScalingState, target: int, now: float) -> ScalingState:
    moved = replace(state, target=target, above_since=None, below_since=None)
    if target == state.target:
        return moved
    return replace(moved, raised_at=now) if target > state.target else replace(moved, lowered_at=now)


def redeployed(old: AutoscalingConfig | None, new: AutoscalingConfig, state: ScalingState) -> ScalingState:
    """The state of a deployment that gets a new configuration while it runs: it keeps as many replicas as it may."""
    if old == new:
        return state
    return ScalingState(min(max(state.target, new.min_replicas), new.max_replicas))
