"""Gangs: they start whole or not at all, know each other, and fail as their policy says, also without a controller."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import GangSchedulingConfig
from tests.serve.controller import controller_pid, kill_controller, replica_pids, replica_states
from tests.serve.test_killed_controller import Deploy
from tests.serve.waiting import wait_until


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0.5}, gang_scheduling_config={"gang_size": 2})
class Member:
    def __call__(self, request: Any = None) -> dict[str, Any]:
        context = serve.get_replica_context()
        gang = context.gang_context
        assert gang is not None
        return {"id": context.replica_id, "gang": gang.gang_id, "rank": gang.rank, "ids": gang.member_replica_ids}


def rooms() -> set[str]:
    """The names of the placement groups that gangs have."""
    rows = ray.util.placement_group_table().values()
    return {row["name"] for row in rows if row["state"] != "REMOVED" and row["name"].startswith("SERVE_GANG::")}


def members(handle: Any, number: int) -> dict[str, dict[str, Any]]:
    """What replicas say of themselves, by their ids."""
    found: dict[str, dict[str, Any]] = {}

    def have_all_answered() -> bool:
        answer = handle.remote().result(timeout_s=60)
        found[answer["id"]] = answer
        return len(found) == number

    wait_until(have_all_answered)
    return found


def pids_of(ids: list[str]) -> list[int]:
    return [pid for name, pid in replica_pids().items() if name.rpartition("#")[2] in ids]


def test_what_members_know(http: httpx.Client) -> None:
    handle = serve.run(Member.options(num_replicas=4).bind())
    found = members(handle, 4)
    gangs = {one["gang"] for one in found.values()}
    assert len(gangs) == 2
    for gang in gangs:
        own = sorted((one for one in found.values() if one["gang"] == gang), key=lambda one: one["rank"])
        assert [one["rank"] for one in own] == [0, 1]
        assert all(one["ids"] == [one["id"] for one in own] for one in own)
    assert rooms() == {f"SERVE_GANG::default_Member_{gang}" for gang in gangs}
    serve.run(Member.bind())
    wait_until(lambda: replica_states() == {"Member": {"RUNNING": 2}} and len(rooms()) == 1)
    serve.delete("default")
    assert rooms() == set()


def test_one_that_does_not_fit_does_not_start(http: httpx.Client) -> None:
    gangs = {"gang_size": 3}
    large = Member.options(num_replicas=3, ray_actor_options={"num_cpus": 2}, gang_scheduling_config=gangs)
    with pytest.raises(RuntimeError, match="gang of 3 replicas of deployment 'Member' cannot start: each asks for"):
        serve.run(large.bind())
    wait_until(lambda: not rooms())
    handle = serve.run(Member.options(num_replicas=2, ray_actor_options={"num_cpus": 1}).bind())
    deploy = Deploy(
        Member.options(num_replicas=6, ray_actor_options={"num_cpus": 1}).bind(),
        wait_for_resources=True,
        blocking=False,
    )
    wait_until(lambda: "cannot start" in serve.status().applications["default"].deployments["Member"].message)
    # There is room for four of the six, and none for a part of the last gang.
    assert replica_states()["Member"] == {"RUNNING": 4, "STARTING": 2}
    assert len(replica_pids()) == 4
    assert len(members(handle, 4)) == 4
    serve.run(Member.options(num_replicas=4, ray_actor_options={"num_cpus": 1}).bind())
    deploy.join(60)
    assert deploy.error is None
    assert replica_states()["Member"] == {"RUNNING": 4}


def test_a_constructor_that_fails_fails_its_gang(http: httpx.Client, tmp_path: Path) -> None:
    @serve.deployment(num_replicas=2, gang_scheduling_config=GangSchedulingConfig(2))
    class Fails:
        def __init__(self, times: int) -> None:
            gang = serve.get_replica_context().gang_context
            assert gang is not None
            (tmp_path / gang.gang_id).touch()
            if gang.rank == 1 and len(list(tmp_path.iterdir())) <= times:
                raise ValueError("no rank 1")

        def __call__(self, request: Any = None) -> str:
            return "well"

    with pytest.raises(RuntimeError, match="no rank 1"):
        serve.run(Fails.bind(100))
    assert len(list(tmp_path.iterdir())) == 3
    wait_until(lambda: replica_pids() == {})
    # Where a later attempt does not fail, the gang that runs is a new one.
    assert serve.run(Fails.bind(4)).remote().result() == "well"
    assert len(list(tmp_path.iterdir())) == 5


def test_none_takes_requests_before_all_are_there(http: httpx.Client, tmp_path: Path) -> None:
    @serve.deployment(num_replicas=2, gang_scheduling_config=GangSchedulingConfig(2))
    class Late:
        def __init__(self) -> None:
            gang = serve.get_replica_context().gang_context
            assert gang is not None
            (tmp_path / f"rank-{gang.rank}").touch()
            while gang.rank == 1 and not (tmp_path / "free").exists():
                time.sleep(0.01)

        def __call__(self, request: Any = None) -> str:
            return "late"

    deploy = Deploy(Late.bind())
    wait_until(lambda: (tmp_path / "rank-0").exists() and (tmp_path / "rank-1").exists())
    response = serve.get_app_handle("default").remote()
    assert replica_states() == {"Late": {"STARTING": 2}}
    (tmp_path / "free").touch()
    assert response.result(timeout_s=60) == "late"
    deploy.join(60)
    assert deploy.error is None


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_lost_member_ends_its_gang(http: httpx.Client, end: signal.Signals) -> None:
    handle = serve.run(Member.options(num_replicas=4, ray_actor_options={"num_cpus": 1}).bind())
    before = members(handle, 4)
    lost = next(iter(before.values()))
    os.kill(pids_of([lost["id"]])[0], end)
    wait_until(lambda: not pids_of(lost["ids"]) and replica_states() == {"Member": {"RUNNING": 4}})
    after = members(handle, 4)
    assert {one["gang"] for one in after.values()} & {one["gang"] for one in before.values()} == {
        one["gang"] for one in before.values() if one["gang"] != lost["gang"]
    }
    assert len(rooms()) == 2


def test_a_member_that_is_not_well_ends_its_gang(http: httpx.Client, tmp_path: Path) -> None:
    @serve.deployment(num_replicas=2, health_check_period_s=0.1, gang_scheduling_config=GangSchedulingConfig(2))
    class Sick:
        def check_health(self) -> None:
            if (tmp_path / serve.get_replica_context().replica_id).exists():
                raise RuntimeError("sick")

        def __call__(self, request: Any = None) -> list[str]:
            gang = serve.get_replica_context().gang_context
            assert gang is not None
            return gang.member_replica_ids

    handle = serve.run(Sick.bind())
    before = handle.remote().result()
    (tmp_path / before[0]).touch()
    wait_until(lambda: not pids_of(before) and replica_states() == {"Sick": {"RUNNING": 2}})
    assert not set(before) & set(handle.remote().result())


def test_a_lost_member_alone_is_replaced(http: httpx.Client) -> None:
    gangs = GangSchedulingConfig(2, runtime_failure_policy="RESTART_REPLICA")
    handle = serve.run(Member.options(gang_scheduling_config=gangs).bind())
    before = members(handle, 2)
    lost, kept = before.values()
    os.kill(pids_of([lost["id"]])[0], signal.SIGKILL)
    wait_until(lambda: not pids_of([lost["id"]]) and replica_states() == {"Member": {"RUNNING": 2}})
    after: dict[str, Any] = {}

    def know_all_of_it() -> bool:
        after.update(members(handle, 2))
        return all(one["ids"] == next(iter(after.values()))["ids"] for one in after.values())

    wait_until(know_all_of_it)
    assert kept["id"] in after
    new = next(one for one in after.values() if one["id"] != kept["id"])
    assert (new["gang"], new["rank"]) == (lost["gang"], lost["rank"])
    assert after[kept["id"]]["ids"][new["rank"]] == new["id"]


@pytest.mark.parametrize("policy", ["RESTART_GANG", "RESTART_REPLICA"])
def test_a_killed_controller(http: httpx.Client, policy: str) -> None:
    gangs = GangSchedulingConfig(2, runtime_failure_policy=policy)
    handle = serve.run(Member.options(num_replicas=4, gang_scheduling_config=gangs).bind())
    before = members(handle, 4)
    kill_controller()
    assert members(handle, 4) == before
    lost = next(iter(before.values()))
    # A controller and a replica that die together: the next one has the gang end, or only that replica.
    pid = controller_pid()
    for one in (pid, pids_of([lost["id"]])[0]):
        os.kill(one, signal.SIGKILL)
    wait_until(lambda: controller_pid() not in (0, pid))
    gone = [lost["id"]] if policy == "RESTART_REPLICA" else lost["ids"]
    wait_until(lambda: not pids_of(gone) and replica_states() == {"Member": {"RUNNING": 4}})
    kept = set(before) - set(gone)
    assert kept <= set(members(handle, 4))
    assert len(rooms()) == 2
    serve.delete("default")
    assert rooms() == set()


def test_a_controller_that_is_killed_while_a_gang_starts(http: httpx.Client, tmp_path: Path) -> None:
    @serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 1}, gang_scheduling_config={"gang_size": 2})
    class Slow:
        def __init__(self) -> None:
            (tmp_path / serve.get_replica_context().replica_id).touch()
            while not (tmp_path / "free").exists():
                time.sleep(0.01)

        def __call__(self, request: Any = None) -> str:
            return "slow"

    deploy = Deploy(Slow.bind())
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    before = replica_pids()
    kill_controller()
    (tmp_path / "free").touch()
    deploy.join(60)
    assert deploy.error is None
    assert replica_pids() == before
    assert serve.get_app_handle("default").remote().result() == "slow"
    assert len(rooms()) == 1


def test_a_rollout_moves_gangs(http: httpx.Client) -> None:
    handle = serve.run(Member.options(num_replicas=4).bind())
    before = {one["gang"] for one in members(handle, 4).values()}
    serve.run(Member.options(num_replicas=3, gang_scheduling_config={"gang_size": 3}).bind())
    after = members(handle, 3)
    assert len({one["gang"] for one in after.values()} - before) == 1
    serve.run(Member.options(num_replicas=1, gang_scheduling_config=None).bind())
    wait_until(lambda: len(replica_pids()) == 1 and not rooms())


def test_scaling(http: httpx.Client, gate: Any) -> None:
    @serve.deployment(
        max_ongoing_requests=10,
        autoscaling_config={
            "min_replicas": 1,
            "max_replicas": 7,
            "target_ongoing_requests": 1,
            "metrics_interval_s": 0.1,
            "look_back_period_s": 0.2,
            "upscale_delay_s": 0.1,
            "downscale_delay_s": 0.2,
        },
        gang_scheduling_config={"gang_size": 3},
    )
    class Scaled:
        async def __call__(self) -> str:
            await gate.wait.remote()
            return "done"

    handle = serve.run(Scaled.bind(), route_prefix=None)
    assert replica_states() == {"Scaled": {"RUNNING": 3}}
    calls = [handle.remote() for _ in range(4)]
    wait_until(lambda: replica_states() == {"Scaled": {"RUNNING": 6}})
    ray.get(gate.open.remote())
    assert [call.result(timeout_s=60) for call in calls] == ["done"] * 4
    wait_until(lambda: replica_states() == {"Scaled": {"RUNNING": 3}})
