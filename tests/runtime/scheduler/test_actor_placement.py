"""Actors: a worker of their own, resources to be placed and resources held for life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler import instructions as ins
from ray_async.runtime.scheduler.policy.strategies import NodeAffinity
from ray_async.runtime.scheduler.resources import ResourceSet

Make = Callable[..., Any]
DEFAULT_ACTOR = {"placement_resources": ResourceSet.of({"CPU": 1})}


def test_an_actor_without_options_holds_nothing_and_needs_a_node_with_a_cpu(harness: Make) -> None:
    h = harness()
    h.node("empty")
    (warning,) = h.actor("a", spec=DEFAULT_ACTOR)
    assert (warning.what, warning.id) == ("actor", "a")
    h.node("head", CPU=1)
    assert h.actors["a"].node_id == "head"
    assert h.available() == 1


def test_such_actors_start_also_when_all_cpus_are_taken_but_prefer_free_ones(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.node("other", CPU=1)
    h.task_class(1, queued=1, spec={"strategy": NodeAffinity("head")}, CPU=1)
    h.actor("a", spec=DEFAULT_ACTOR)
    assert h.actors["a"].node_id == "other"
    h.task_class(2, queued=1, CPU=1)
    h.actor("b", spec=DEFAULT_ACTOR)
    assert "b" in h.actors


def test_an_actor_holds_its_resources_until_its_process_is_gone(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=2, GPU=1)
    h.actor("a", CPU=1, GPU=1)
    h.actor("b", GPU=1)
    assert h.actors["a"].accelerator_ids == (("GPU", (0,)),)
    assert "b" not in h.actors
    slot = h.actors["a"].slot
    assert h.send(ev.ActorEnded("a")) == [ins.StopWorker(slot, ins.StopReason.ACTOR_ENDED)]
    assert "b" not in h.actors
    h.send(ev.WorkerDied(slot))
    assert "b" in h.actors
    assert h.available() == 2


def test_an_actor_takes_an_idle_worker_and_other_work_gets_a_new_one(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=2)
    h.task_class(1, queued=1, CPU=1)
    h.send(ev.LeaseReturned(0))
    h.actor("a", CPU=1)
    assert h.actors["a"].slot == 0
    h.send(ev.ClassDemand(1, 1))
    assert h.slots_of(1) == [1]


def test_a_waiting_actor_gets_the_lease_of_a_busy_class(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1000, CPU=1)
    h.busy(0)
    h.actor("a", CPU=1)
    assert h.tick(0.05) == [ins.Revoke(0, urgent=True)]
    h.send(ev.LeaseReturned(0))
    assert h.actors["a"].slot == 0


def test_restart_after_a_death(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.actor("a", CPU=1)
    first = h.actors.pop("a")
    h.send(ev.WorkerDied(first.slot))
    assert h.available() == 1
    assert h.send(ev.ActorEnded("a")) == []
    h.actor("a:1", CPU=1)
    assert h.actors["a:1"].slot != first.slot
    assert h.available() == 0


def test_an_actor_that_ends_gives_its_place_back_with_its_process(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.actor("a", CPU=1)
    first = h.actors.pop("a")
    assert h.send(ev.ActorEnded("a")) == [ins.StopWorker(first.slot, ins.StopReason.ACTOR_ENDED)]
    h.actor("b", CPU=1)
    assert "b" not in h.actors
    h.send(ev.WorkerDied(first.slot))
    assert "b" in h.actors


def test_an_actor_can_end_while_it_waits_or_while_its_worker_starts(harness: Make) -> None:
    h = harness()
    h.auto_start = False
    h.node("head", CPU=1)
    h.actor("a", CPU=1)
    h.actor("b", CPU=1)
    assert h.send(ev.ActorEnded("b")) == []
    assert h.send(ev.ActorEnded("a")) == []
    assert h.available() == 1
    assert h.start_worker("head") == []
    assert not h.actors


def test_hard_affinity_to_an_unknown_node_is_unschedulable(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    (failed,) = h.actor("a", spec={"strategy": NodeAffinity("nowhere")}, CPU=1)
    assert (failed.actor_id, "nowhere" in failed.reason) == ("a", True)
    h.actor("a", CPU=1)
    assert "a" in h.actors


def test_ten_thousand_like_actors_are_placed_in_order_of_submission(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    for number in range(10_000):
        h.actor(f"a{number}", CPU=1)
    assert list(h.actors) == ["a0"]
    for number in range(3):
        h.send(ev.ActorEnded(f"a{number}"))
        h.send(ev.WorkerDied(h.actors[f"a{number}"].slot))
    assert list(h.actors) == ["a0", "a1", "a2", "a3"]


def test_an_actor_id_is_used_once_at_a_time(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.actor("a")
    with pytest.raises(ValueError, match="'a' is in use"):
        h.actor("a")
