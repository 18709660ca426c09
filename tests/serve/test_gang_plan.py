"""Gangs, decided: what is started and stopped is whole, in rollouts and where replicas are lost."""

import itertools
import random
from unittest.mock import AsyncMock

import pytest

from ray_async import serve
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.config import AutoscalingConfig, GangSchedulingConfig
from ray_async.serve.controller.autoscaling import ScalingState
from ray_async.serve.controller.gang_plan import GangPlan, reconcile_gangs
from ray_async.serve.controller.reconcile import ReplicaState, ReplicaView, Wanted
from ray_async.serve.controller.scaler import Scaler
from ray_async.serve.options import DeploymentOptions

RUNNING, STARTING, STOPPING = ReplicaState.RUNNING, ReplicaState.STARTING, ReplicaState.STOPPING


def gang(
    name: str, size: int, version: str = "a", state: ReplicaState = RUNNING, ongoing: int = 0
) -> list[ReplicaView]:
    return [ReplicaView(f"{name}{rank}", version, state, ongoing, name, rank, size) for rank in range(size)]


def test_whole_gangs_are_started_and_stopped() -> None:
    assert reconcile_gangs(Wanted("a", 6), 2, True, []) == GangPlan(3, ())
    there = [*gang("x", 2), *gang("y", 2, ongoing=3), *gang("z", 2, state=STARTING)]
    assert reconcile_gangs(Wanted("a", 6), 2, True, there) == GangPlan(0, ())
    assert reconcile_gangs(Wanted("a", 8), 2, True, there) == GangPlan(1, ())
    assert [reconcile_gangs(Wanted("a", n), 2, True, there).stop for n in (4, 2)] == [
        ("z0", "z1"),
        ("z0", "z1", "x0", "x1"),
    ]
    assert set(reconcile_gangs(Wanted("a", 0), 2, True, there).stop) == {one.id for one in there}


def test_a_lost_replica_ends_its_gang() -> None:
    there = [*gang("x", 3)[1:], *gang("y", 3)]
    assert reconcile_gangs(Wanted("a", 6), 3, True, there) == GangPlan(1, ("x1", "x2"))
    leaving = [ReplicaView("x0", "a", STOPPING, 0, "x", 0, 3), *there]
    assert reconcile_gangs(Wanted("a", 6), 3, True, leaving) == GangPlan(1, ("x1", "x2"))


def test_a_lost_replica_alone_is_replaced() -> None:
    there = [*gang("x", 3)[1:], *gang("y", 3)]
    assert reconcile_gangs(Wanted("a", 6), 3, False, there) == GangPlan(0, (), (("x", 0),))
    begun = [ReplicaView("x9", "a", STARTING, 0, "x", 0, 3), *there]
    assert reconcile_gangs(Wanted("a", 6), 3, False, begun) == GangPlan(0, ())
    fewer = reconcile_gangs(Wanted("a", 3), 3, False, [*there, *gang("y", 3, ongoing=1)[:0]])
    assert (fewer.start, len(fewer.stop), fewer.fill) == (0, 2, ())


def test_a_gang_that_starts_and_has_lost_one_is_stopped() -> None:
    there = gang("x", 3, state=STARTING)[1:]
    for whole in (True, False):
        assert reconcile_gangs(Wanted("a", 3), 3, whole, there) == GangPlan(1, ("x1", "x2"))


@pytest.mark.parametrize(
    ("sizes", "step", "stop_first"),
    list(itertools.product(((2, 2), (1, 3), (3, 1), (2, 3)), (0.2, 1.0), (False, True))),
)
def test_a_rollout_ends_and_keeps_serving(sizes: tuple[int, int], step: float, stop_first: bool) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    before, after = sizes
    names = (f"g{number}" for number in itertools.count())
    old = [
        view
        for _ in range(6 // before)
        for view in (gang(next(names), before, "old") if before > 1 else [ReplicaView(next(names), "old", RUNNING)])
    ]
    there = {view.id: view for view in old}
    wanted = Wanted("new", 6, step, stop_first)
    for _ in range(500):
        plan = reconcile_gangs(wanted, after, True, list(there.values()))
        for key in plan.stop:
            view = there[key]
            there[key] = ReplicaView(key, view.version, STOPPING, 0, view.gang, view.rank, view.gang_size)
        for _ in range(plan.start):
            name = next(names)
            members = gang(name, after, "new", STARTING) if after > 1 else [ReplicaView(name, "new", STARTING)]
            there |= {view.id: view for view in members}
        for view in there.values():
            alive = [one for one in there.values() if one.gang == view.gang and one.state is not STOPPING]
            assert not view.gang or len(alive) in (0, view.gang_size)
        if not stop_first and before == after:
            assert sum(view.state is RUNNING for view in there.values()) >= 6
        moving = [view for view in there.values() if view.state is not RUNNING]
        if not moving:
            break
        one = chance.choice(moving)
        if one.state is STOPPING:
            del there[one.id]
        else:
            together = [view for view in moving if view.id == one.id or (one.gang and view.gang == one.gang)]
            there |= {v.id: ReplicaView(v.id, "new", RUNNING, 0, v.gang, v.rank, v.gang_size) for v in together}
    assert {view.version for view in there.values()} == {"new"}
    assert len(there) == 6


def test_scaling_moves_by_whole_gangs() -> None:
    gangs = GangSchedulingConfig(3)
    assert [gangs.rounded(replicas, 8) for replicas in (1, 3, 4, 6, 7, 8)] == [3, 3, 6, 6, 6, 6]
    scaling = {"min_replicas": 1, "max_replicas": 8, "initial_replicas": 5}
    options = DeploymentOptions("D").changed({"autoscaling_config": scaling, "gang_scheduling_config": gangs})
    assert options.initial_replicas == 6
    scaler = Scaler("app", DeploymentSpec("D", options, b""), AsyncMock(return_value={}), lambda: None)
    assert scaler.target == 6
    scaler._state = ScalingState(2)
    assert scaler.target == 3


def test_options_are_checked() -> None:
    def make(**options: object) -> None:
        serve.deployment(**options)(lambda: None)

    make(num_replicas=4, gang_scheduling_config={"gang_size": 2, "gang_placement_strategy": "SPREAD"})
    bad: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"num_replicas": 3, "gang_scheduling_config": {"gang_size": 2}}, ValueError, "multiple of gang_size"),
        ({"gang_scheduling_config": {"gang_size": 0}}, ValueError, "gang_size must be"),
        ({"gang_scheduling_config": {"size": 2}}, TypeError, "gang_size"),
        ({"gang_scheduling_config": {"gang_size": 1, "gang_placement_strategy": "NEAR"}}, ValueError, "PACK, SPREAD"),
        ({"gang_scheduling_config": {"gang_size": 1, "runtime_failure_policy": "x"}}, ValueError, "RESTART_GANG"),
        ({"gang_scheduling_config": 2}, TypeError, "GangSchedulingConfig"),
        (
            {"autoscaling_config": {"min_replicas": 0, "max_replicas": 4}, "gang_scheduling_config": {"gang_size": 2}},
            ValueError,
            "do not scale to zero",
        ),
        (
            {"autoscaling_config": AutoscalingConfig(max_replicas=2), "gang_scheduling_config": {"gang_size": 3}},
            ValueError,
            "is a multiple of gang_size",
        ),
    ]
    for options, kind, words in bad:
        with pytest.raises(kind, match=words):
            make(**options)
