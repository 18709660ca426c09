"""What tasks and actors take over from where they run: placement groups, labels of nodes, resources while they wait."""

from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import GetTimeoutError
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy

TIMEOUT_S = 30


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray.init(num_cpus=1, labels={"colour": "red"}):
        yield


@ray.remote(num_cpus=1)
def child() -> int:
    return 3


@ray.remote(num_cpus=1)
def parent() -> int:
    result: int = ray.get(child.remote())
    return result


def test_a_worker_that_ran_elsewhere_before_places_children_in_the_group() -> None:
    # The same process has made a call of `child` outside of the group, where there is no room any more.
    assert ray.get(parent.remote(), timeout=TIMEOUT_S) == 3
    group = ray.util.placement_group(bundles=[{"CPU": 1}])
    inside = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_capture_child_tasks=True)
    assert ray.get(parent.options(scheduling_strategy=inside).remote(), timeout=TIMEOUT_S) == 3
    ray.util.remove_placement_group(group)
    assert ray.get(parent.remote(), timeout=TIMEOUT_S) == 3


def test_labels_are_those_of_the_node_and_its_id() -> None:
    @ray.remote
    def labels() -> dict[str, str]:
        return ray.get_runtime_context().get_node_labels()

    here = ray.get_runtime_context()
    assert here.get_node_labels() == {"colour": "red", "ray.io/node-id": here.get_node_id()}
    assert ray.get(labels.remote(), timeout=TIMEOUT_S) == here.get_node_labels()


def test_an_actor_keeps_its_cpu_while_it_waits() -> None:
    @ray.remote(num_cpus=1)
    class Waiting:
        def wait(self) -> str:
            try:
                return str(ray.get(child.remote(), timeout=1))
            except GetTimeoutError:
                return "no room"

    actor: Any = Waiting.remote()
    assert ray.get(actor.wait.remote(), timeout=TIMEOUT_S) == "no room"
    ray.kill(actor)


def test_what_was_yielded_before_an_error_stays() -> None:
    @ray.remote(num_returns="dynamic", num_cpus=0)
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("late")

    first, second = ray.get(items.remote(), timeout=TIMEOUT_S)
    assert ray.get(first) == 1
    with pytest.raises(KeyError, match="late"):
        ray.get(second)


def test_a_method_is_the_class_s_although_an_attribute_has_its_name() -> None:
    @ray.remote(num_cpus=0)
    class Shadowed:
        def __init__(self) -> None:
            self.__dict__["ready"] = True

        def ready(self) -> bool:
            return bool(self.__dict__["ready"])

    actor: Any = Shadowed.remote()
    assert ray.get(actor.ready.remote(), timeout=TIMEOUT_S) is True
