"""How many workers serve which class: growth, fairness, blocking, limits, recycling, environments, devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler import instructions as ins
from ray_async.runtime.scheduler.specs import TaskKind

Make = Callable[..., Any]


def of_type(instructions: list[Any], kind: type) -> list[Any]:
    return [instruction for instruction in instructions if isinstance(instruction, kind)]


def test_leases_grow_with_the_queue_up_to_the_cpus(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4)
    h.task_class(1, queued=2, CPU=1)
    assert len(h.slots_of(1)) == 2
    h.send(ev.ClassDemand(1, 100))
    assert len(h.slots_of(1)) == 4
    assert h.available() == 0


def test_workers_are_asked_for_once_and_resources_are_reserved_meanwhile(harness: Make) -> None:
    h = harness()
    h.auto_start = False
    h.node("head", CPU=2)
    assert h.task_class(1, queued=9, CPU=1) == [ins.StartWorker("head", "", 2)]
    assert h.send(ev.ClassDemand(1, 10)) == []
    assert h.available() == 0
    assert h.send(ev.ClassDemand(1, 0)) == []
    assert h.available() == 2


def test_one_async_worker_takes_many_tasks(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4)
    h.task_class(1, queued=100, spec={"kind": TaskKind.ASYNC, "tasks_per_worker": 100}, CPU=1)
    assert len(h.slots_of(1)) == 1
    h.send(ev.ClassDemand(1, 101))
    assert len(h.slots_of(1)) == 2


def test_an_idle_lease_is_taken_back_at_once_for_another_class(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    h.send(ev.LeaseIdle(0))
    assert h.task_class(2, queued=1, CPU=1) == [ins.Revoke(0, urgent=True)]
    h.send(ev.LeaseReturned(0))
    assert h.slots_of(2) == [0]


def test_a_lease_that_gave_up_by_itself_is_not_given_again(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    assert h.send(ev.LeaseReturned(0)) == []
    assert h.available() == 1
    h.send(ev.ClassDemand(1, 1))
    assert h.slots_of(1) == [0]


def test_classes_take_turns_on_one_cpu(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    for class_id in (1, 2, 3):
        h.task_class(class_id, queued=1000, CPU=1)
    served = []
    for _ in range(30):
        h.busy(*h.leases)
        if of_type(h.tick(0.03), ins.Revoke):
            h.send(ev.LeaseReturned(0))
            served.append(h.leases[0].class_id)
    assert len(served) > 5
    for position in range(len(served) - 2):
        assert set(served[position : position + 3]) == {1, 2, 3}


def test_a_class_above_its_share_gives_up_leases_after_their_tasks(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4)
    h.task_class(1, queued=100, CPU=1)
    h.busy(*h.slots_of(1))
    h.task_class(2, queued=100, CPU=1)
    for _ in range(20):
        for revoke in of_type(h.tick(0.03), ins.Revoke):
            h.send(ev.LeaseReturned(revoke.slot))
        h.busy(*h.leases)
    assert len(h.slots_of(1)) == len(h.slots_of(2)) == 2


def test_a_large_request_is_not_starved_by_small_ones(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4)
    h.task_class(1, queued=10_000, CPU=1)
    h.busy(*h.slots_of(1))
    h.task_class(2, queued=1, CPU=4)
    revoked = of_type(h.tick(0.05), ins.Revoke)
    assert sorted(revoke.slot for revoke in revoked) == [0, 1, 2, 3]
    for revoke in revoked:
        assert not h.slots_of(2)
        h.send(ev.LeaseReturned(revoke.slot))
    assert len(h.slots_of(2)) == 1
    assert not h.slots_of(1)


def test_holding_back_ends_so_that_long_tasks_do_not_leave_cpus_unused(harness: Make) -> None:
    h = harness(hold_s=1.0)
    h.node("head", CPU=2)
    h.task_class(1, queued=10_000, CPU=1)
    h.busy(0, 1)
    h.task_class(2, queued=1, CPU=2)
    h.tick(0.05)
    h.send(ev.LeaseReturned(0))
    assert h.slots_of(1) == [1]
    h.tick(1.0)
    assert h.slots_of(1) == [0, 1]
    h.busy(0, 1)
    h.send(ev.LeaseReturned(1))
    assert [h.tick(0.1) for _ in range(9)] == [[]] * 9, "a pause as long as the hold was"
    assert {i.slot for i in h.tick(0.2)} == {0, 1}


def test_a_class_behind_many_that_nothing_can_be_done_for_gets_its_turn(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1, GPU=1)
    h.actor("a", GPU=1)
    for class_id in range(100, 150):
        h.task_class(class_id, queued=1, GPU=1)
    h.task_class(1, queued=1000, CPU=1)
    h.busy(*h.slots_of(1))
    h.task_class(2, queued=1, CPU=1)
    revoked = [instruction for _ in range(8) for instruction in h.tick(0.6)]
    assert revoked == [ins.Revoke(h.slots_of(1)[0], urgent=True)]


def test_a_blocked_task_lends_its_cpu_but_not_its_gpu(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1, GPU=1)
    h.task_class(1, queued=1, CPU=1, GPU=1)
    h.busy(0)
    h.task_class(2, queued=1, CPU=1)
    assert not h.slots_of(2)
    h.send(ev.WorkerBlocked(0))
    assert h.slots_of(2) == [1]
    assert h.available("GPU") == 0


def test_overcommitment_after_unblocking_is_mended_by_revoking_others(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    h.busy(0)
    h.task_class(2, queued=5, CPU=1)
    h.send(ev.WorkerBlocked(0))
    h.busy(1)
    assert h.send(ev.WorkerUnblocked(0)) == [ins.Revoke(1, urgent=True)]
    h.send(ev.LeaseReturned(1))
    assert h.slots_of(2) == []
    h.send(ev.LeaseReturned(0))
    assert len(h.slots_of(2)) == 1


def test_a_recursion_of_waiting_tasks_runs_on_one_cpu_until_the_limit_explains_itself(harness: Make) -> None:
    h = harness(max_task_workers=20)
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    for slot in range(19):
        assert h.slots_of(1) == list(range(slot + 1))
        h.busy(slot)
        h.send(ev.WorkerBlocked(slot))
        h.send(ev.ClassDemand(1, 1))
    h.busy(19)
    out = h.send(ev.WorkerBlocked(19)) + h.send(ev.ClassDemand(1, 1)) + h.send(ev.ClassDemand(1, 1))
    (told,) = of_type(out, ins.WorkerLimitReached)
    assert (told.limit, told.blocked) == (20, 20)
    assert "recursion" in told.message
    h.send(ev.WorkerUnblocked(19))
    h.send(ev.LeaseReturned(19))
    h.send(ev.ClassDemand(1, 1))
    assert h.slots_of(1) == list(range(20))


def test_workers_beyond_the_soft_limit_are_stopped_when_idle_the_newest_stay(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=2)
    h.task_class(1, queued=4, CPU=0.5)
    for slot in (2, 0, 3, 1):
        h.now += 0.1
        h.send(ev.LeaseReturned(slot))
    assert of_type(h.tick(0.5), ins.StopWorker) == []
    stopped = of_type(h.tick(2.0), ins.StopWorker)
    assert stopped == [ins.StopWorker(2, ins.StopReason.IDLE), ins.StopWorker(0, ins.StopReason.IDLE)]
    assert of_type(h.tick(100.0), ins.StopWorker) == []


def test_unused_leases_are_asked_back_if_idle_and_a_refusal_is_accepted(harness: Make) -> None:
    h = harness(lease_idle_s=0.5)
    h.node("head", CPU=2)
    h.task_class(1, queued=2, CPU=1)
    h.send(ev.LeaseIdle(0))
    assert h.scheduler.next_wakeup() == 0.5
    assert h.tick(0.4) == []
    assert h.tick(0.2) == [ins.Revoke(0, urgent=False)]
    h.busy(0)
    assert h.tick(5.0) == []
    assert 0 in h.slots_of(1)


def test_a_worker_serves_only_its_environment_and_idle_ones_make_room(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    h.send(ev.LeaseReturned(0))
    out = h.task_class(2, queued=1, spec={"env_key": "other"}, CPU=1)
    assert ins.StopWorker(0, ins.StopReason.OTHER_ENVIRONMENT) in out
    assert h.slots_of(2) == [1]


def test_a_worker_keeps_its_devices(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=4, GPU=2)
    h.task_class(1, queued=1, GPU=1)
    assert h.leases[0].accelerator_ids == (("GPU", (0,)),)
    h.send(ev.LeaseReturned(0))
    h.task_class(2, queued=1, CPU=1)
    assert h.slots_of(2) == [1]
    h.task_class(3, queued=1, GPU=2)
    assert h.leases[2].accelerator_ids == (("GPU", (0, 1)),)
    h.send(ev.LeaseReturned(2))
    h.task_class(4, queued=1, GPU=0.5)
    assert h.slots_of(4) == [0]


def test_a_failed_start_is_tried_again_after_a_pause_that_grows(harness: Make) -> None:
    h = harness(start_pause_s=0.1)
    h.auto_start = False
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    for pause in (0.1, 0.2, 0.4):
        assert h.send(ev.WorkerStartFailed("head")) == []
        assert h.scheduler.next_wakeup() == pytest.approx(h.now + pause)
        assert h.tick(pause * 0.9) == []
        assert h.tick(pause * 0.2) == [ins.StartWorker("head", "", 1)]


def test_a_pause_is_forgotten_with_those_who_waited(harness: Make) -> None:
    """Environments come and go: nothing is kept of one that nobody asks for any more."""
    h = harness(start_pause_s=0.1, start_pause_limit_s=5.0)
    h.auto_start = False
    h.node("head", CPU=1)
    for class_id in range(1, 50):
        h.task_class(class_id, queued=1, CPU=1, spec={"env_key": f"1:{class_id}"})
        h.send(ev.WorkerStartFailed("head", f"1:{class_id}"))
        h.send(ev.ClassRemoved(class_id))
    (node,) = h.scheduler._state.nodes
    assert len(node.start_pauses) == 49
    h.tick(5.2)
    assert node.start_pauses == {}
    assert h.scheduler._state.classes == {}
    assert not h.scheduler._state.waiting and not node.waiting and not node.pool.grants


def test_a_dead_worker_frees_its_lease_and_is_replaced(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=5, CPU=1)
    h.busy(0)
    h.send(ev.WorkerDied(0))
    assert h.slots_of(1) == [1]


def test_many_tasks_without_resources_start_workers_a_few_at_a_time(harness: Make) -> None:
    h = harness()
    h.auto_start = False
    h.node("head", CPU=2)
    assert h.task_class(1, queued=1_000_000) == [ins.StartWorker("head", "", 2)]
    assert h.start_worker("head") == [
        ins.Lease(0, 1, "head", h.leases[0].resources),
        ins.StartWorker("head", "", 1),
    ]


def test_an_infeasible_class_is_told_once_and_served_when_a_node_comes(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    (warning,) = h.task_class(1, queued=1, CPU=2)
    assert (warning.what, warning.id) == ("class", 1)
    assert "no node has {'CPU': 2.0}" in warning.message
    assert h.send(ev.ClassDemand(1, 2)) == []
    h.node("second", CPU=2)
    assert h.nodes_of(1) == ["second"]


def test_a_removed_class_returns_its_leases(harness: Make) -> None:
    h = harness()
    h.node("head", CPU=1)
    h.task_class(1, queued=1, CPU=1)
    assert h.send(ev.ClassRemoved(1)) == [ins.Revoke(0, urgent=True)]
    h.send(ev.LeaseReturned(0))
    assert h.available() == 1


def test_an_event_for_an_unknown_class_is_an_error(harness: Make) -> None:
    with pytest.raises(ValueError, match="class id 7"):
        harness().send(ev.ClassDemand(7, 1))


def test_prestart(harness: Make) -> None:
    h = harness(prestart=2)
    h.node("head", CPU=2)
    assert sorted(h.slots) == [0, 1]
