"""The decision how many replicas there shall be: a pure function of what was seen, on a clock of the test's."""

import itertools
import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ray_async.serve.autoscaling_config import AutoscalingConfig, AutoscalingPolicy
from ray_async.serve.controller.autoscaling import ScalingState, decide, desired_replicas, redeployed, smoothed

# Requests that two replicas ran, each 0.1 s: up to 24 clients over HTTP, whose answers took 10 to 80 ms.
RECORDED = (
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 6, 6, 6, 6, 6, 6, 6, 6, 4,
    6, 13, 21, 18, 24, 23, 23, 22, 24, 24, 17, 19, 23, 23, 23, 24, 23, 23, 24, 20, 21, 23, 24, 24, 23,
    20, 24, 24, 22, 22, 16, 14, 15, 24, 24, 13, 24, 23, 13, 23, 22, 8, 9, 9, 10, 10, 10, 10, 10, 10,
    8, 10, 10, 10, 10, 10, 10, 9, 10, 10, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 16, 16, 15,
    15, 13, 15, 13, 16, 14, 15, 12, 15, 10, 12, 16, 16, 14, 8, 15, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
)  # fmt: skip
STEPS = {
    "0.01": itertools.repeat(0.01),
    "0.1": itertools.repeat(0.1),
    "0.7": itertools.repeat(0.7),
    "3": itertools.repeat(3.0),
    "mixed": itertools.cycle((0.01, 0.7, 0.1, 3.0, 0.1)),
}


def run(
    config: AutoscalingConfig,
    start: int,
    load: Callable[[float], float],
    until: float,
    steps: Iterable[float],
) -> list[tuple[float, float, int]]:
    """The time of the look before a change, of the change, and the new target, for each change."""
    state, changes, before, now = ScalingState(start), [], -math.inf, 0.0
    for step in steps:
        if now > until:
            break
        after = decide(config, state, now, load(now))
        if after.target != state.target:
            changes.append((before, now, after.target))
        state, before, now = after, now, now + step
    return changes


def config(**options: Any) -> AutoscalingConfig:
    defaults = {
        "max_replicas": 20,
        "target_ongoing_requests": 1,
        "metrics_interval_s": 0.1,
        "look_back_period_s": 0.2,
    }
    return AutoscalingConfig(**{**defaults, **options})


@pytest.mark.parametrize("steps", STEPS)
def test_delays_are_seconds_and_not_looks(steps: str) -> None:
    rule = config(upscale_delay_s=2, downscale_delay_s=5)
    changes = run(rule, 1, lambda now: 8 if 6 <= now < 30 else 0.5, 60, STEPS[steps])
    (before_up, up, eight), *downs = changes
    begin = min(now for now in _looks(STEPS[steps], 60) if now >= 6)
    assert eight == 8
    assert before_up < begin + 2 <= up + 1e-6
    first_idle = min(now for now in _looks(STEPS[steps], 60) if now >= 30)
    assert downs[0][1] >= first_idle + 5 - 1e-6
    assert downs[-1][2] == 1


def _looks(steps: Iterable[float], until: float) -> list[float]:
    looks: list[float] = []
    now = 0.0
    for step in steps:
        if now > until:
            return looks
        looks.append(now)
        now += step
    return looks


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("zero", "delay"), [(None, 5), (12, 12), (0, 5)])
def test_the_last_replica_goes_after_its_own_delay(steps: str, zero: float | None, delay: float) -> None:
    rule = config(min_replicas=0, upscale_delay_s=0, downscale_delay_s=5, downscale_to_zero_delay_s=zero)
    changes = run(rule, 1, lambda now: 1 if now < 9 else 0, 60, STEPS[steps])
    idle = min(now for now in _looks(STEPS[steps], 60) if now >= 9)
    ((before, at, target),) = changes
    assert target == 0
    expected = idle + (5 if zero is None else zero)
    assert before < expected + 1e-6
    assert expected <= at + 1e-6


def test_a_request_begins_the_lull_anew() -> None:
    rule = config(min_replicas=0, downscale_to_zero_delay_s=3, look_back_period_s=30)
    changes = run(rule, 1, lambda now: round(now, 3) % 2.5 < 0.05, 50, STEPS["0.1"])
    assert changes == []


@pytest.mark.parametrize("steps", STEPS)
def test_one_burst_is_one_rise_and_one_fall(steps: str) -> None:
    rule = config(min_replicas=0, upscale_delay_s=2, downscale_delay_s=2, look_back_period_s=30, metrics_interval_s=0.1)
    changes = run(rule, 0, lambda now: 20 if 3 <= now < 10 else 0, 60, STEPS[steps])
    targets = [target for _, _, target in changes]
    top = targets.index(max(targets))
    assert targets[: top + 1] == sorted(targets[: top + 1])
    assert targets[top:] == sorted(targets[top:], reverse=True)
    assert targets[-1] == 0
    assert max(targets) == 20 or steps in ("3", "mixed")


def test_what_waits_is_never_left_alone() -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(300):
        rule = config(
            min_replicas=0,
            downscale_delay_s=chance.choice((0, 0.1)),
            upscale_delay_s=chance.choice((0, 1)),
            downscaling_factor=chance.choice((0.1, 1, 3)),
            upscaling_factor=chance.choice((0.1, 1, 3)),
            aggregation_function=chance.choice(("mean", "max", "min")),
        )
        state = ScalingState(chance.randint(0, 3))
        for number in range(20):
            state = decide(rule, state, number / 10, chance.choice((100, 1, 0.1)))
            assert 1 <= state.target <= 20


def test_the_first_replica_is_wanted_at_once() -> None:
    assert decide(config(min_replicas=0), ScalingState(0), 5, 1).target == 1
    assert decide(config(min_replicas=0, upscaling_factor=3), ScalingState(0), 5, 1).target == 3
    assert decide(config(min_replicas=0, upscaling_factor=3, max_replicas=2), ScalingState(0), 5, 1).target == 2
    assert decide(config(min_replicas=0), ScalingState(0), 5, 0).target == 0


def test_small_factors_do_not_get_stuck() -> None:
    slow = config(min_replicas=0, upscaling_factor=0.01, downscaling_factor=0.01)
    assert [smoothed(slow, 5, wanted) for wanted in (0, 4, 4.5, 5, 5.1, 20)] == [4, 4, 5, 5, 6, 6]
    assert [smoothed(slow, current, 0) for current in (0, 1, 2)] == [0, 0, 1]
    assert smoothed(config(downscaling_factor=5), 4, 3) == 1
    assert smoothed(config(min_replicas=0, downscaling_factor=5), 4, 0.1) == 1


@pytest.mark.parametrize(("aggregation", "target"), [("mean", 6), ("max", 9), ("min", 3)])
def test_aggregations(aggregation: str, target: int) -> None:
    rule = config(aggregation_function=aggregation, look_back_period_s=10, upscale_delay_s=0, downscale_delay_s=0)
    state = ScalingState(20 if aggregation == "mean" else 1)
    for number, load in enumerate((9, 6, 3)):
        state = decide(rule, ScalingState(state.target, state.samples), number, load)
    assert state.target == target


def test_a_policy_is_held_to_factors_bounds_and_delays() -> None:
    rule = config(min_replicas=2, upscale_delay_s=1, downscale_delay_s=1, upscaling_factor=0.5)
    state = ScalingState(2)
    seen = []
    for number, wanted in enumerate((10, 10, 10, 10, 100, 100, 100, 0, 0, 0)):
        state = decide(rule, state, float(number), 1, wanted)
        seen.append(state.target)
    assert seen == [2, 6, 6, 8, 8, 20, 20, 20, 2, 2]


def test_a_new_configuration_keeps_what_it_may() -> None:
    old = config(max_replicas=9)
    state = ScalingState(7, samples=((1.0, 7.0),), above_since=1.0)
    assert redeployed(old, config(max_replicas=9), state) is state
    assert redeployed(old, config(max_replicas=5), state) == ScalingState(5)
    assert redeployed(None, config(min_replicas=8), state) == ScalingState(8)
    assert redeployed(None, config(min_replicas=0), state) == ScalingState(7)


@pytest.mark.parametrize("seed", range(5))
def test_a_day_of_synthetic_load(seed: int) -> None:
    """A day's wave with noise and lulls: each replica has at most its share, soon, and few stand idle."""
    chance = random.Random(seed)
    rule = config(
        min_replicas=0, max_replicas=50, target_ongoing_requests=4, metrics_interval_s=10, look_back_period_s=30,
        upscale_delay_s=30, downscale_delay_s=600,
    )  # fmt: skip
    state, changes, over, had = ScalingState(0), 0, 0, 0
    for number in range(8640):
        now = number * 10.0
        wave = 60 * max(0.0, math.sin(now / 86400 * 2 * math.pi - 1))
        load = float(chance.randint(int(wave * 0.8), int(wave * 1.2) + 1)) if wave else 0.0
        after = decide(rule, state, now, load)
        changes += after.target != state.target
        over += load > 4 * after.target * 1.5
        had += load > 0
        state = after
    assert over < had * 0.01
    assert changes < 250
    assert state.target == 0


def test_recorded_load() -> None:
    """Enough replicas within the delay after each rise, none more than its top called for, and none at the end."""
    rule = config(
        min_replicas=0, max_replicas=12, target_ongoing_requests=3, look_back_period_s=2, upscale_delay_s=0.5,
        downscale_delay_s=1, downscale_to_zero_delay_s=2,
    )  # fmt: skip
    state, targets, short = ScalingState(0), [], 0
    for number, load in enumerate(RECORDED):
        state = decide(rule, state, number / 10, load)
        targets.append(state.target)
        lately = RECORDED[max(0, number - 8) : number + 1]
        short += state.target < math.ceil(min(lately) / 3)
    assert short == 0
    assert max(targets) == 8
    changes = sum(one != other for one, other in itertools.pairwise(targets))
    assert changes <= 20
    first, last = RECORDED.index(1), max(n for n, load in enumerate(RECORDED) if load)
    assert targets[first] == 1
    assert targets[last] > 0
    assert targets[last + 21 :] == [0] * len(targets[last + 21 :])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_replicas": -1}, "min_replicas"),
        ({"max_replicas": 0, "min_replicas": 0}, "max_replicas"),
        ({"min_replicas": 0, "initial_replicas": 2}, "does not hold"),
        ({"look_back_period_s": 10.0}, "more than metrics_interval_s"),
        ({"upscaling_factor": 0.0}, "upscaling_factor must be positive"),
        ({"downscale_to_zero_delay_s": -1.0}, "downscale_to_zero_delay_s must be positive"),
        ({"aggregation_function": "median"}, "aggregation_function"),
        ({"policy": {"policy_function": "no_colon"}}, "module:name"),
        ({"policy": {"function": "a:b"}}, "unknown key of autoscaling_config.policy"),
        ({"minimum": 1}, "unknown key"),
    ],
)
def test_values_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AutoscalingConfig.of(options)


def test_names_of_factors() -> None:
    assert AutoscalingConfig().factor_up == AutoscalingConfig().factor_down == 1
    old = AutoscalingConfig(smoothing_factor=2, downscale_smoothing_factor=3)
    assert (old.factor_up, old.factor_down) == (2, 3)
    assert AutoscalingConfig(smoothing_factor=2, upscaling_factor=4).factor_up == 4
    assert desired_replicas(AutoscalingConfig(max_replicas=10, upscaling_factor=0.5), 2, 8) == 3


def test_policies_are_found() -> None:
    default = AutoscalingPolicy()
    assert default.name == "ray_async.serve.autoscaling_policy:default_autoscaling_policy"
    same = AutoscalingPolicy("ray.serve.autoscaling_policy:default_autoscaling_policy")
    assert same == default
    for policy, answer in (
        (AutoscalingPolicy(len), 2),
        (AutoscalingPolicy("builtins:len"), 2),
        (AutoscalingPolicy(sorted, {"reverse": True}), ["b", "a"]),
    ):
        loaded: Any = policy.load(())
        assert loaded("ab") == answer
    with pytest.raises(TypeError, match="function or its import path"):
        AutoscalingPolicy(3)
