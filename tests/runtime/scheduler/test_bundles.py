"""Placement groups: strategies, atomicity, use, removal, node failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler import instructions as ins
from ray_async.runtime.scheduler.labels import ANY_NODE, LabelSelector
from ray_async.runtime.scheduler.placement_groups import GroupStrategy

Make = Callable[..., Any]
CPU = {"CPU": 1}


def ready(instructions: list[Any]) -> dict[int, str]:
    (told,) = [i for i in instructions if isinstance(i, ins.PlacementGroupReady)]
    return dict(told.bundle_nodes)


def two_nodes(harness: Make) -> Any:
    h = harness()
    h.node("head", CPU=4)
    h.node("a", CPU=4)
    return h


def test_pack_uses_one_node_if_it_can(harness: Make) -> None:
    h = two_nodes(harness)
    assert set(ready(h.group("p", CPU, CPU, CPU)).values()) == {"head"}
    assert sorted(ready(h.group("q", CPU, CPU, CPU, CPU, CPU)).values()) == ["a"] * 4 + ["head"]


def test_spread_uses_several_nodes_if_it_can(harness: Make) -> None:
    h = two_nodes(harness)
    assert sorted(ready(h.group("p", CPU, CPU, CPU, strategy=GroupStrategy.SPREAD)).values()) in (
        ["a", "a", "head"],
        ["a", "head", "head"],
    )


def test_strict_pack_waits_for_one_node(harness: Make) -> None:
    h = two_nodes(harness)
    h.task_class(1, queued=1, CPU=3)
    h.group("q", {"CPU": 3}, {"CPU": 1}, strategy=GroupStrategy.STRICT_PACK)
    assert h.available() == 1
    (warning,) = h.group("p", {"CPU": 3}, {"CPU": 2}, strategy=GroupStrategy.STRICT_PACK)
    assert (warning.what, warning.id) == ("placement group", "p")
    assert ready(h.node("big", CPU=5)) == {0: "big", 1: "big"}


def test_strict_pack_prefers_its_target(harness: Make) -> None:
    h = two_nodes(harness)
    options = {"strategy": GroupStrategy.STRICT_PACK, "soft_target_node_id": "a"}
    assert ready(h.group("p", CPU, CPU, **options)) == {0: "a", 1: "a"}


def test_strict_spread_finds_the_only_assignment(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4, x=1)
    h.node("a", CPU=4)
    h.node("b", {"zone": "z"}, CPU=4)
    placed = ready(
        h.group(
            "p",
            CPU,
            CPU,
            {"CPU": 1, "x": 1},
            strategy=GroupStrategy.STRICT_SPREAD,
            selectors=(ANY_NODE, LabelSelector.parse({"zone": "z"}), ANY_NODE),
        )
    )
    assert placed == {0: "a", 1: "b", 2: "head"}
    (warning,) = h.group("q", CPU, CPU, CPU, CPU, strategy=GroupStrategy.STRICT_SPREAD)
    assert isinstance(warning, ins.WarnInfeasible)


def test_all_bundles_or_none(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4)
    h.actor("a", CPU=2)
    assert h.group("p", CPU, CPU, CPU) == []
    assert h.available() == 2
    h.send(ev.ActorEnded("a"))
    assert ready(h.send(ev.WorkerDied(h.actors["a"].slot))) == {0: "head", 1: "head", 2: "head"}


def test_a_waiting_group_gets_the_leases_of_busy_classes(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=2)
    h.task_class(1, queued=1000, CPU=1)
    h.busy(0, 1)
    h.group("p", CPU, CPU)
    assert [i.slot for i in h.tick(0.05)] == [0, 1]
    h.send(ev.LeaseReturned(0))
    assert ready(h.send(ev.LeaseReturned(1))) == {0: "head", 1: "head"}


def test_tasks_and_actors_use_bundles_only_and_keep_its_devices(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4, GPU=4)
    h.actor("first", GPU=1)
    h.group("p", {"CPU": 1, "GPU": 2}, {"CPU": 1, "GPU": 0.5})
    h.actor("a", spec={"placement_group": "p", "bundle_index": 0}, GPU=2)
    assert h.actors["a"].accelerator_ids == (("GPU", (1, 2)),)
    assert h.actors["a"].placement_group == ("p", 0)
    h.task_class(1, queued=9, spec={"placement_group": "p"}, GPU=0.5)
    (lease,) = h.leases.values()
    assert lease.accelerator_ids == (("GPU", (3,)),)
    assert lease.placement_group == ("p", 1)
    assert h.available("GPU") == 0.5


def test_bundles_with_more_are_left_to_who_needs_it(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4, GPU=1)
    h.group("p", {"CPU": 1, "GPU": 1}, CPU, CPU)
    for name in "ab":
        h.actor(name, spec={"placement_group": "p"}, CPU=1)
    h.actor("c", spec={"placement_group": "p"}, CPU=1, GPU=1)
    assert sorted((h.actors[name].placement_group[1], name) for name in "abc") == [(0, "c"), (1, "a"), (2, "b")]


def test_requests_wait_for_their_group(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.group("p", CPU, CPU)
    assert h.task_class(1, queued=1, spec={"placement_group": "p"}, CPU=1) == []
    h.node("a", CPU=1)
    assert len(h.slots_of(1)) == 1


@pytest.mark.parametrize("index", [-1, 1])
def test_a_request_larger_than_every_bundle_fails_at_once(harness: Make, index: int) -> None:
    h = two_nodes(harness)
    h.group("p", {"CPU": 2} if index >= 0 else CPU, CPU)
    spec = {"placement_group": "p", "bundle_index": index}
    (failed,) = h.task_class(1, queued=1, spec=spec, CPU=2)
    assert isinstance(failed, ins.ClassUnschedulable)
    assert "no bundle of its placement group can hold {'CPU': 2.0}: there are [{'CPU': 1.0}" in failed.reason


@pytest.mark.parametrize(("group", "index", "words"), [("gone", -1, "was removed"), ("p", 5, "no bundle 5")])
def test_requests_that_no_group_can_meet(harness: Make, group: str, index: int, words: str) -> None:
    h = two_nodes(harness)
    h.group("p", CPU)
    (failed,) = h.task_class(1, queued=1, spec={"placement_group": group, "bundle_index": index}, CPU=1)
    assert words in failed.reason


def test_removal_kills_what_runs_in_it_and_fails_what_waits(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=2)
    h.group("p", CPU, CPU)
    h.task_class(1, queued=5, spec={"placement_group": "p"}, CPU=1)
    h.busy(0, 1)
    h.send(ev.ClassDemand(1, 5))
    h.send(ev.LeaseIdle(1))
    out = h.send(ev.PlacementGroupRemoved("p"))
    assert [i.slot for i in out if isinstance(i, ins.KillForPlacementGroup)] == [0, 1]
    assert [i.class_id for i in out if isinstance(i, ins.ClassUnschedulable)] == [1]
    assert h.available() == 0
    h.send(ev.LeaseIdle(0))
    assert h.tick(5.0) == [], "a worker that is being killed is asked for nothing more"
    h.send(ev.WorkerDied(0))
    h.send(ev.WorkerDied(1))
    assert h.available() == 2


def test_removal_while_it_waits_lets_others_in(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.group("p", {"CPU": 2})
    h.group("q", CPU)
    h.send(ev.PlacementGroupRemoved("p"))
    h.send(ev.PlacementGroupRemoved("q"))
    assert h.available() == 1
    states = {pg_id: row["state"] for pg_id, row in h.scheduler.report.placement_group_table().items()}
    assert states == {"p": "REMOVED", "q": "REMOVED"}


def test_lost_bundles_are_reserved_anew_apart_from_the_others(harness: Make) -> None:
    h = harness()
    for node_id in ("head", "a"):
        h.node(node_id, CPU=4)
    before = ready(h.group("p", CPU, CPU, strategy=GroupStrategy.STRICT_SPREAD))
    lost = next(index for index, node_id in before.items() if node_id == "a")
    h.actor("x", spec={"placement_group": "p", "bundle_index": lost}, CPU=1)
    out = h.send(ev.NodeRemoved("a"))
    assert ins.PlacementGroupRescheduling("p", (lost,)) in out
    assert h.scheduler.report.placement_group_table()["p"]["state"] == "RESCHEDULING"
    h.send(ev.WorkerDied(h.actors.pop("x").slot))
    h.send(ev.ActorEnded("x"))
    h.actor("x:1", spec={"placement_group": "p", "bundle_index": lost}, CPU=1)
    assert "x:1" not in h.actors
    assert ready(h.node("b", CPU=1)) == {**before, lost: "b"}
    assert h.actors["x:1"].node_id == "b"


def test_groups_show_in_the_resources(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4)
    h.group("abc", CPU, {"CPU": 2})
    assert h.scheduler.report.cluster_resources() == {
        "CPU": 4,
        "CPU_group_0_abc": 1,
        "CPU_group_1_abc": 2,
        "CPU_group_abc": 3,
        "bundle_group_0_abc": 1000,
        "bundle_group_1_abc": 1000,
        "bundle_group_abc": 2000,
    }
    h.task_class(1, queued=1, spec={"placement_group": "abc", "bundle_index": 0}, CPU=1)
    h.busy(0)
    assert h.scheduler.report.available_resources() == {
        "CPU": 1,
        "CPU_group_1_abc": 2,
        "CPU_group_abc": 2,
        "bundle_group_0_abc": 999.999,
        "bundle_group_1_abc": 1000,
        "bundle_group_abc": 1999.999,
    }
    h.busy(0)
    h.send(ev.LeaseIdle(0))
    assert h.scheduler.report.available_resources()["CPU_group_0_abc"] == 1


def test_bundles_of_other_machines_need_no_place_here(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.group("p", {"CPU": 1}, {"CPU": 1}, strategy=GroupStrategy.STRICT_SPREAD, waits=True)
    assert h.available() == 1  # nothing is reserved before it is known what lies elsewhere
    h.send(ev.BundlesElsewhere("p", ((1, "far"),)))
    row = h.scheduler.report.placement_group_table()["p"]
    assert (row["state"], row["bundles_to_node_id"]) == ("CREATED", {0: "head", 1: "far"})
    assert h.available() == 0
    h.task_class(1, queued=2, spec={"placement_group": "p", "bundle_index": 1}, CPU=1)
    assert h.slots_of(1) == []
    assert h.scheduler.report.without_room(1, 2) == 2
    h.task_class(2, queued=1, spec={"placement_group": "p", "bundle_index": 0}, CPU=1)
    assert len(h.slots_of(2)) == 1


def test_bundles_that_are_lost_elsewhere_are_placed_anew(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=2)
    h.group("p", {"CPU": 1}, {"CPU": 1}, waits=True)
    h.send(ev.BundlesElsewhere("p", ((0, "far"), (1, "far"))))
    assert h.available() == 2
    h.send(ev.BundlesElsewhere("p", ((1, "far"),)))
    row = h.scheduler.report.placement_group_table()["p"]
    assert (row["state"], row["bundles_to_node_id"]) == ("CREATED", {0: "head", 1: "far"})
    assert any(isinstance(seen, ins.PlacementGroupRescheduling) for seen in h.seen)
    h.send(ev.PlacementGroupRemoved("p"))
    assert h.available() == 2
    h.send(ev.BundlesElsewhere("p", ()))  # a late word of a group that is gone
    assert h.available() == 2
