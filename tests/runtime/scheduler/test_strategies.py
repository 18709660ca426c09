"""Which node a class or an actor gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler import instructions as ins
from ray_async.runtime.scheduler.labels import ANY_NODE, LabelIn, LabelSelector
from ray_async.runtime.scheduler.policy.strategies import SPREAD, NodeAffinity, NodeLabel

Make = Callable[..., Any]


def selector(**terms: str) -> LabelSelector:
    return LabelSelector.parse(terms)


def test_default_packs_to_half_and_then_spreads(harness: Make) -> None:
    h = harness()
    for node_id in ("head", "a", "b"):
        h.node(node_id, CPU=4)
    placed = []
    for queued in range(1, 8):
        h.task_class(queued, queued=1, CPU=1)
        placed += h.nodes_of(queued)
    assert placed == ["head", "head", "a", "a", "b", "b", "head"]


def test_default_keeps_gpu_nodes_for_those_who_need_them(harness: Make) -> None:
    h = harness()
    h.node("gpu", CPU=4, GPU=1)
    h.node("plain", CPU=2)
    h.task_class(1, queued=3, CPU=1)
    assert h.nodes_of(1) == ["gpu", "plain", "plain"]
    h.task_class(2, queued=1, CPU=1, GPU=1)
    assert h.nodes_of(2) == ["gpu"]


def test_spread_uses_each_node_and_returns_leases_after_one_task(harness: Make) -> None:
    h = harness()
    for node_id in ("head", "a", "b"):
        h.node(node_id, CPU=2)
    h.task_class(1, queued=3, spec={"strategy": SPREAD}, CPU=1)
    assert h.nodes_of(1) == ["a", "b", "head"]
    assert {lease.max_tasks for lease in h.leases.values()} == {1}
    h.send(ev.ClassDemand(1, 10))
    h.busy(*h.slots_of(1))
    h.send(ev.LeaseReturned(0))
    assert 0 in h.slots_of(1), "a lease that ended after its one task does not mean an empty queue"


def test_hard_affinity_waits_for_its_node_only(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.node("a", CPU=1)
    h.task_class(1, queued=3, spec={"strategy": NodeAffinity("a")}, CPU=1)
    assert h.nodes_of(1) == ["a"]


def test_hard_affinity_to_a_dead_node_fails(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.node("a", CPU=1)
    h.task_class(1, queued=1, spec={"strategy": NodeAffinity("a")}, CPU=1)
    h.send(ev.ClassDemand(1, 1))
    h.busy(*h.slots_of(1))
    h.send(ev.ClassDemand(1, 4))
    (failed,) = [i for i in h.send(ev.NodeRemoved("a")) if isinstance(i, ins.ClassUnschedulable)]
    assert failed.class_id == 1
    assert "node a, which is not alive" in failed.reason
    (again,) = h.send(ev.ClassDemand(1, 1))
    assert isinstance(again, ins.ClassUnschedulable)


def test_soft_affinity_falls_back_when_the_node_is_dead(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, spec={"strategy": NodeAffinity("gone", soft=True)}, CPU=1)
    assert h.nodes_of(1) == ["head"]


@pytest.mark.parametrize(("spill", "nodes"), [(False, ["a"]), (True, ["a", "head"])])
def test_soft_affinity_spills_only_when_asked(harness: Make, spill: bool, nodes: list[str]) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.node("a", CPU=1)
    strategy = NodeAffinity("a", soft=True, spill_on_unavailable=spill)
    h.task_class(1, queued=2, spec={"strategy": strategy}, CPU=1)
    assert h.nodes_of(1) == nodes


def test_affinity_fails_at_once_when_asked(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    for class_id in range(10, 20):
        h.task_class(class_id, queued=1, CPU=1)
    strategy = NodeAffinity("head", fail_on_unavailable=True)
    (failed,) = h.task_class(2, queued=1, spec={"strategy": strategy}, CPU=1)
    assert isinstance(failed, ins.ClassUnschedulable)
    assert "has no room" in failed.reason


def test_node_labels_hard_and_soft(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4)
    h.node("a", {"zone": "x"}, CPU=4)
    h.node("b", {"zone": "x", "disk": "ssd"}, CPU=1)
    strategy = NodeLabel(LabelSelector.of({"zone": LabelIn(("x",))}), LabelSelector.of({"disk": LabelIn(("ssd",))}))
    h.task_class(1, queued=2, spec={"strategy": strategy}, CPU=1)
    assert h.nodes_of(1) == ["a", "b"]
    h.task_class(2, queued=1, spec={"strategy": NodeLabel(selector(zone="y"), ANY_NODE)}, CPU=1)
    assert h.nodes_of(2) == []


def test_label_selector_and_fallbacks_in_order(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.node("a", {"zone": "x"}, CPU=1)
    h.node("b", {"zone": "y"}, CPU=1)
    spec = {"label_selector": selector(zone="x"), "fallback": (selector(zone="in(y,z)"),)}
    h.task_class(1, queued=1, spec=spec, CPU=1)
    assert h.nodes_of(1) == ["a"]
    h.send(ev.ClassDemand(1, 3))
    assert h.nodes_of(1) == ["a", "b"]


def test_nodes_carry_their_id_as_a_label(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.node("a", CPU=1)
    h.task_class(1, queued=1, spec={"label_selector": LabelSelector.parse({"ray.io/node-id": "a"})}, CPU=1)
    assert h.nodes_of(1) == ["a"]


def test_workers_of_a_removed_node_are_stopped_and_work_moves_on(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.node("a", CPU=4)
    h.task_class(1, queued=3, CPU=2)
    slots = h.slots_of(1)
    out = h.send(ev.NodeRemoved("a"))
    assert [i.slot for i in out if isinstance(i, ins.StopWorker)] == slots
    assert all(i.reason is ins.StopReason.NODE_REMOVED for i in out if isinstance(i, ins.StopWorker))
    for slot in slots:
        assert not [i for i in h.send(ev.WorkerDied(slot)) if isinstance(i, ins.Lease)]
    h.node("b", CPU=2)
    assert h.nodes_of(1) == ["b"]


def test_a_node_id_is_used_once(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.send(ev.NodeRemoved("head"))
    with pytest.raises(ValueError, match="'head' was used before"):
        h.node("head", CPU=1)


def test_a_worker_that_arrives_on_a_removed_node_is_stopped(harness: Make) -> None:
    h = harness()
    h.auto_start = False
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    h.send(ev.NodeRemoved("head"))
    assert h.start_worker("head") == [ins.StopWorker(0, ins.StopReason.NODE_REMOVED)]
