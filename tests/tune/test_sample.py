"""Domains: what they draw, in which Python types, and what they refuse."""

import math
from typing import Any

import numpy as np
import pytest

from ray_async import tune
from ray_async.tune.search.sample import Categorical, Float, Integer


@pytest.mark.parametrize(
    ("domain", "kind", "low", "high"),
    [
        (tune.uniform(-2, 3), float, -2, 3),
        (tune.quniform(-2, 3, 0.5), float, -2, 3),
        (tune.loguniform(1e-4, 1e-1), float, 1e-4, 1e-1),
        (tune.qloguniform(0.5, 8, 0.5), float, 0.5, 8),
        (tune.randint(-5, 5), int, -5, 4),
        (tune.qrandint(0, 10, 5), int, 0, 10),
        (tune.qrandint(0, 10), int, 0, 9),
        (tune.lograndint(1, 100), int, 1, 99),
        (tune.qlograndint(2, 100, 2), int, 2, 100),
    ],
)
def test_values_lie_within_bounds_and_are_python_types(domain: Any, kind: type, low: float, high: float) -> None:
    values = domain.sample(size=500, random_state=3)
    assert all(type(value) is kind and domain.is_valid(value) for value in values)
    assert low <= min(values) and max(values) <= high
    assert len(set(values)) > 1


def test_both_bounds_of_quantized_domains_are_drawn() -> None:
    assert set(tune.qrandint(0, 10, 5).sample(size=200, random_state=1)) == {0, 5, 10}
    assert set(tune.quniform(0, 0.3, 0.1).sample(size=200, random_state=1)) == {0.0, 0.1, 0.2, 0.3}


def test_normal_domains() -> None:
    values = tune.randn(10, 2).sample(size=2000, random_state=1)
    assert abs(np.mean(values) - 10) < 0.3 and abs(np.std(values) - 2) < 0.3
    assert all(value % 0.5 == 0 for value in tune.qrandn(0, 1, 0.5).sample(size=50, random_state=1))


def test_choices_keep_their_types() -> None:
    values: list[Any] = [None, 1, "a", (1, 2), [3], {"k": 1}, len]
    drawn = tune.choice(values).sample(size=200, random_state=1)
    assert all(any(value is one for one in values) for value in drawn)
    assert all(any(value is one for value in drawn) for one in values)


@pytest.mark.parametrize("state", [7, lambda: np.random.default_rng(7), lambda: np.random.RandomState(7)])
def test_seeds_repeat_what_is_drawn(state: Any) -> None:
    def make() -> Any:
        return state() if callable(state) else state

    domain = tune.uniform(0, 1)
    assert domain.sample(size=5, random_state=make()) == domain.sample(size=5, random_state=make())


def test_the_global_seed_counts() -> None:
    np.random.seed(5)
    first = tune.uniform(0, 1).sample(size=3)
    np.random.seed(5)
    assert tune.uniform(0, 1).sample(size=3) == first


@pytest.mark.parametrize(
    "make",
    [
        lambda: tune.loguniform(0, 1),
        lambda: tune.loguniform(-1, 1),
        lambda: tune.lograndint(0, 5),
        lambda: tune.quniform(0, 1, 0.3),
        lambda: tune.quniform(0, 1, 0),
        lambda: tune.quniform(0, 1, -0.5),
        lambda: tune.qloguniform(1, 8, -1),
        lambda: tune.qrandint(0, 10, 0),
        lambda: tune.qrandint(0, 10, -5),
        lambda: tune.qlograndint(1, 10, -5),
        lambda: tune.qrandn(0, 1, 0),
        lambda: tune.qrandn(0, 1, -0.5),
        lambda: tune.uniform(3, 1),
        lambda: tune.uniform(math.nan, 1),
        lambda: tune.uniform(0, math.nan),
        lambda: tune.quniform(3, 1, 1),
        lambda: tune.loguniform(2, 1),
        lambda: tune.qloguniform(2, 1, 1),
        lambda: tune.randint(3, 1),
        lambda: tune.randint(3, 3),
        lambda: tune.lograndint(5, 4),
        lambda: tune.qrandint(3, 1, 1),
        lambda: tune.qrandint(3, 3),
        lambda: tune.qrandint(1, 2, 5),
        lambda: tune.qlograndint(10, 1, 5),
        lambda: tune.qlograndint(1, 2, 5),
        lambda: tune.choice([]),
        lambda: Float(None, 1).uniform(),
        lambda: tune.randn(0, 0),
    ],
)
def test_bounds_that_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"bound|quantization|integer|choice|deviation"):
        make()


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (tune.uniform(1, 1), {1.0}),
        (tune.quniform(1, 1, 1), {1.0}),
        (tune.loguniform(1, 1), {1.0}),
        (tune.lograndint(3, 3), {3}),
        (tune.lograndint(3, 4), {3}),
        (tune.qrandint(3, 3, 3), {3}),
        (tune.qrandint(0, 10, 3), {0, 3, 6, 9}),
        (tune.qrandint(1, 10, 5), {5, 10}),
        (tune.qlograndint(1, 10, 5), {5, 10}),
        (tune.choice((1,)), {1}),
    ],
)
def test_narrow_domains_draw_what_lies_within(domain: Any, values: set[Any]) -> None:
    assert set(domain.sample(size=300, random_state=1)) == values


def test_what_domains_are_called() -> None:
    assert tune.uniform(0, 1).domain_str == "(0, 1)"
    assert tune.choice([1, 2]).domain_str == "[1, 2]"
    assert isinstance(tune.randint(0, 3), Integer) and isinstance(tune.choice([1]), Categorical)
    assert tune.grid_search([1, 2]) == {"grid_search": [1, 2]}
