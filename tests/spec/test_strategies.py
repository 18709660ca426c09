from typing import Any

import pytest

from ray_async.util.scheduling_strategies import (
    DoesNotExist,
    Exists,
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
)

NODE = "0a" * 28


@pytest.mark.parametrize("node_id", ["", "xyz", "0a", "ff" * 28, 12, None])
def test_bad_node_ids(node_id: Any) -> None:
    with pytest.raises(ValueError, match="node_id"):
        NodeAffinitySchedulingStrategy(node_id, soft=True)


def test_node_id_as_text_or_object() -> None:
    assert NodeAffinitySchedulingStrategy(NODE.upper(), soft=False).node_id == NODE
    assert NodeAffinitySchedulingStrategy(bytes.fromhex(NODE), soft=False).node_id == NODE


def test_spill_needs_soft_and_fail_needs_hard() -> None:
    with pytest.raises(ValueError, match="soft=True"):
        NodeAffinitySchedulingStrategy(NODE, soft=False, _spill_on_unavailable=True)
    with pytest.raises(ValueError, match="soft=False"):
        NodeAffinitySchedulingStrategy(NODE, soft=True, _fail_on_unavailable=True)
    assert NodeAffinitySchedulingStrategy(NODE, soft=True, _spill_on_unavailable=True)._spill_on_unavailable
    assert NodeAffinitySchedulingStrategy(NODE, soft=False, _fail_on_unavailable=True)._fail_on_unavailable


@pytest.mark.parametrize("operator", [In, NotIn])
def test_operators_need_string_values(operator: Any) -> None:
    for values in ((), (1,), ("a", None)):
        with pytest.raises(ValueError):
            operator(*values)
    assert operator("a", "b").values == ["a", "b"]


@pytest.mark.parametrize("hard", [{}, {"a": "b"}, {1: Exists()}, "a"])
def test_bad_conditions(hard: Any) -> None:
    with pytest.raises(ValueError):
        NodeLabelSchedulingStrategy(hard)


def test_conditions_may_be_only_soft() -> None:
    strategy = NodeLabelSchedulingStrategy({}, soft={"gpu": DoesNotExist()})
    assert (strategy.hard, list(strategy.soft)) == ({}, ["gpu"])
