"""Resource sets, devices and label selectors."""

from __future__ import annotations

import pytest

from ray_async.runtime.scheduler.devices import DevicePool
from ray_async.runtime.scheduler.labels import LabelExists, LabelIn, LabelMissing, LabelNotIn, LabelSelector
from ray_async.runtime.scheduler.resources import UNITS_PER_ONE, ResourceSet

HALF, ONE = UNITS_PER_ONE // 2, UNITS_PER_ONE


def test_sums_of_fractions_are_exact() -> None:
    total = ResourceSet.of({"CPU": 0})
    for _ in range(10):
        total = total + ResourceSet.of({"CPU": 0.1})
    assert total == ResourceSet.of({"CPU": 1})


def test_zero_amounts_are_left_out() -> None:
    assert not ResourceSet.of({"CPU": 0, "GPU": 0.0})
    assert hash(ResourceSet.of({"CPU": 1, "GPU": 0})) == hash(ResourceSet.of({"CPU": 1}))


@pytest.mark.parametrize("quantity", [-1, -0.5, 0.00001])
def test_bad_quantities_are_refused(quantity: float) -> None:
    with pytest.raises(ValueError, match="CPU"):
        ResourceSet.of({"CPU": quantity})


def test_at_least_takes_the_larger_of_each() -> None:
    both = ResourceSet.of({"CPU": 1, "GPU": 2}).at_least(ResourceSet.of({"CPU": 3, "x": 1}))
    assert both.to_dict() == {"CPU": 3, "GPU": 2, "x": 1}


def test_a_part_stays_on_one_device_and_fills_it_up() -> None:
    pool = DevicePool.of_units(2 * ONE)
    first = pool.find(HALF)
    assert first == ((0, HALF),)
    pool.take(first)
    assert pool.find(HALF) == ((0, HALF),)
    assert pool.find(ONE - 1) == ((1, ONE - 1),)
    assert pool.find(ONE) == ((1, ONE),)
    assert pool.find(2 * ONE) is None


def test_halves_of_two_devices_are_not_a_whole_one() -> None:
    pool = DevicePool.of_units(2 * ONE)
    for index in (0, 1):
        pool.take(((index, HALF),))
    assert pool.find(ONE) is None
    assert pool.find(HALF) is not None


def test_one_and_a_half_devices_cannot_be_had() -> None:
    assert DevicePool.of_units(4 * ONE).find(ONE + HALF) is None


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", None, False),
        ("!a", "b", True),
        ("!a", "a", False),
        ("!a", None, True),
        ("in(a, b)", "b", True),
        ("in(a,b)", "c", False),
        ("!in(a,b)", "c", True),
        ("!in(a,b)", "a", False),
        ("!in(a,b)", None, True),
    ],
)
def test_selector_grammar(text: str, value: str | None, matches: bool) -> None:
    labels = {} if value is None else {"k": value}
    assert LabelSelector.parse({"k": text}).matches(labels) is matches


@pytest.mark.parametrize("text", ["", "!", "in()", "in(a,)", "in(a", "a,b", "!!a", "in(a,in(b))"])
def test_texts_outside_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="label selector 'k'"):
        LabelSelector.parse({"k": text})


def test_all_conditions_must_hold() -> None:
    selector = LabelSelector.of(
        {"a": LabelIn(("1", "2")), "b": LabelNotIn(("x",)), "c": LabelExists(), "d": LabelMissing()}
    )
    good = {"a": "1", "b": "y", "c": ""}
    assert selector.matches(good)
    for broken in ({**good, "a": "3"}, {**good, "b": "x"}, {"a": "1"}, {**good, "d": "0"}):
        assert not selector.matches(broken)
