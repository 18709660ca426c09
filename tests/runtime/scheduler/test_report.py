"""Answers to people: resources, nodes, and why something waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler.policy.strategies import NodeAffinity

Make = Callable[..., Any]


def test_resources_of_the_cluster_and_of_a_node(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=2, memory=100)
    h.node("a", CPU=1)
    h.task_class(1, queued=1, spec={"strategy": NodeAffinity("a")}, CPU=1)
    report = h.scheduler.report
    assert report.cluster_resources() == {"CPU": 3, "memory": 100}
    assert report.available_resources() == {"CPU": 2, "memory": 100}
    assert report.available_resources(node_id="a") == {}
    h.send(ev.LeaseIdle(0))
    assert report.available_resources()["CPU"] == 3
    assert report.available_resources(idle_is_free=False)["CPU"] == 2


def test_overcommitment_shows_as_nothing_free(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    h.busy(0)
    h.send(ev.WorkerBlocked(0))
    h.send(ev.ClassDemand(1, 1))
    h.send(ev.WorkerUnblocked(0))
    assert h.scheduler.report.available_resources() == {}


def test_nodes_table(harness: Make) -> None:
    h = harness()
    h.node("head", {"zone": "z"}, CPU=4)
    h.node("a", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    h.actor("x", CPU=1)
    h.send(ev.NodeRemoved("a"))
    head, gone = h.scheduler.report.nodes()
    assert head["labels"] == {"zone": "z", "ray.io/node-id": "head"}
    assert (head["task_workers"], head["actor_workers"], head["alive"]) == (1, 1, True)
    assert (gone["node_id"], gone["alive"], gone["resources"]) == ("a", False, {})


def test_explain(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    h.busy(0)
    h.send(ev.ClassDemand(1, 0))
    h.task_class(2, queued=3, CPU=1)
    h.task_class(3, queued=1, CPU=7)
    h.group("p", {"CPU": 9})
    h.task_class(4, queued=1, spec={"placement_group": "p"}, CPU=1)
    h.actor("a", CPU=1)
    explain = h.scheduler.report.explain
    assert explain(1) == "of its kind: 0 queued, 1 with a worker; it waits for nothing"
    waits = "of its kind: 3 queued, 0 with a worker; it needs {'CPU': 1.0}; node head: CPU 0 of 1 free"
    assert explain(2) == waits + ", in use by 1 of other tasks"
    assert "no place has {'CPU': 7.0} in total" in explain(3)
    assert "it waits for placement group p, which is PENDING" in explain(4)
    assert "CPU 0 of 1 free" in h.scheduler.report.explain_actor("a")
    assert explain(99) == "the scheduler does not know tasks of its kind"


def test_what_waits_for_a_worker_that_starts_has_room(harness: Make) -> None:
    h = harness()
    h.auto_start = False
    h.node("head", CPU=1)
    h.task_class(1, queued=3, CPU=1)
    h.actor("a", CPU=0)
    h.actor("b", CPU=1)
    report = h.scheduler.report
    assert report.without_room(1, 3) == 2
    assert h.actors == {}  # one worker starts at a time
    assert report.actor_has_room("a")
    assert not report.actor_has_room("b")
    assert not report.actor_has_room("nobody")
    h.start_worker("head")
    h.busy(0)
    h.send(ev.ClassDemand(1, 2))
    assert report.without_room(1, 2) == 2
    h.task_class(2, queued=2, spec={"strategy": NodeAffinity("elsewhere")}, CPU=1)
    assert report.without_room(2, 2) == 2  # it was given up here
    assert report.without_room(3, 1) == 0


def test_what_guests_take_counts_as_free(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=3)
    h.task_class(1, queued=1, CPU=1)
    h.task_class(2, queued=1, CPU=1)
    for class_id in (1, 2):
        h.send(ev.ClassDemand(class_id, 0))
    h.busy(0, 1)
    report = h.scheduler.report
    assert report.available_resources() == {"CPU": 1}
    assert report.available_resources(guests={2, 7}) == {"CPU": 2}
    h.send(ev.LeaseIdle(1))
    assert report.available_resources(guests={2}) == {"CPU": 2}
