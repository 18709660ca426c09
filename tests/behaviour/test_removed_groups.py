"""Placement groups that are removed: what waits for them, and what runs in them."""

import threading
from collections.abc import Callable, Iterator

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError, TaskPlacementGroupRemoved
from ray_async.util import placement_group, remove_placement_group, state
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray.init(num_cpus=2, num_gpus=0):
        yield


@ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)
class Sleeper:
    def ready(self) -> bool:
        return True

    def sleep(self) -> None:
        threading.Event().wait()


def test_waiting_for_a_group_that_was_removed_raises() -> None:
    group = placement_group([{"CPU": 1}])
    assert group.wait(timeout_seconds=60) is True
    remove_placement_group(group)
    with pytest.raises(TaskPlacementGroupRemoved):
        group.wait(timeout_seconds=60)


def test_a_wait_ends_when_the_group_is_removed() -> None:
    group = placement_group([{"CPU": 100}])
    assert group.wait(timeout_seconds=0) is False
    remover = threading.Timer(0.05, remove_placement_group, [group])
    remover.start()
    with pytest.raises(TaskPlacementGroupRemoved):
        group.wait(timeout_seconds=60)
    remover.join()


def test_a_call_in_flight_dies_with_its_actor_and_the_group(wait_until: Callable[..., None]) -> None:
    group = placement_group([{"CPU": 1}])
    sleeper = Sleeper.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group)).remote()
    assert ray.get(sleeper.ready.remote(), timeout=60)
    running, queued = sleeper.sleep.remote(), sleeper.ready.remote()
    wait_until(lambda: state.list_tasks(filters=[("name", "=", "Sleeper.sleep"), ("state", "=", "RUNNING")]))
    remove_placement_group(group)
    for ref in (running, queued, sleeper.ready.remote()):
        with pytest.raises(ActorDiedError, match="its placement group was removed"):
            ray.get(ref, timeout=60)
    row = state.get_actor(sleeper._actor_id.hex())
    assert row is not None
    assert (row.state, row.num_restarts) == ("DEAD", 0)
    assert row.restart_verdict == "no restart: its placement group was removed"


def test_a_task_in_flight_fails_with_the_group(wait_until: Callable[..., None]) -> None:
    @ray.remote(max_retries=3)
    def endless() -> None:
        threading.Event().wait()

    group = placement_group([{"CPU": 1}])
    ref = endless.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group)).remote()
    wait_until(lambda: state.list_tasks(filters=[("name", "=", "endless"), ("state", "=", "RUNNING")]))
    remove_placement_group(group)
    with pytest.raises(TaskPlacementGroupRemoved):
        ray.get(ref, timeout=60)
