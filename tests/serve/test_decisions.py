"""The pure decisions: replicas to start and stop, how many, who gets a call, and which route a path has."""

import itertools
import math
import random
from typing import Any

import pytest

from ray_async import serve
from ray_async.serve.config import AutoscalingConfig
from ray_async.serve.controller.autoscaling import desired_replicas
from ray_async.serve.controller.reconcile import Plan, ReplicaState, ReplicaView, Wanted, reconcile
from ray_async.serve.controller.resources import Lack, lack
from ray_async.serve.handle.routing import pick
from ray_async.serve.ingress.routes import longest_match
from ray_async.serve.placement import asked_resources

RUNNING, STARTING, STOPPING = ReplicaState.RUNNING, ReplicaState.STARTING, ReplicaState.STOPPING


def views(*replicas: tuple[str, ReplicaState, int]) -> list[ReplicaView]:
    return [ReplicaView(str(n), version, state, ongoing) for n, (version, state, ongoing) in enumerate(replicas)]


def test_from_nothing_and_to_nothing() -> None:
    assert reconcile(Wanted("a", 3), []) == Plan(3, ())
    there = views(("a", RUNNING, 0), ("a", STARTING, 0), ("a", STOPPING, 0))
    assert reconcile(Wanted("a", 3), there) == Plan(1, ())
    assert reconcile(Wanted("a", 2), there) == Plan(0, ())
    assert set(reconcile(Wanted("a", 0), there).stop) == {"0", "1"}


def test_starting_and_idle_replicas_are_stopped_first() -> None:
    there = views(("a", RUNNING, 5), ("a", RUNNING, 0), ("a", STARTING, 0), ("a", RUNNING, 2))
    assert [reconcile(Wanted("a", n), there).stop for n in (3, 2, 1)] == [("2",), ("2", "1"), ("2", "1", "3")]


@pytest.mark.parametrize(
    ("replicas", "step", "stop_first", "surge"),
    list(itertools.product((1, 3, 5), (0.2, 1.0), (False, True), (0, 0.5))),
)
def test_a_rollout_ends_and_keeps_serving(replicas: int, step: float, stop_first: bool, surge: float) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    there = {str(n): ReplicaView(str(n), "old", RUNNING) for n in range(replicas)}
    numbers = itertools.count(replicas)
    wanted = Wanted("new", replicas, step, stop_first, surge)
    most = replicas + max(1, math.ceil(replicas * surge)) if surge else replicas + max(1, math.ceil(replicas * step))
    for _ in range(500):
        plan = reconcile(wanted, list(there.values()))
        for key in plan.stop:
            there[key] = ReplicaView(key, there[key].version, STOPPING)
        for _ in range(plan.start):
            key = str(next(numbers))
            there[key] = ReplicaView(key, "new", STARTING)
        serving = sum(view.state is RUNNING for view in there.values())
        falls = stop_first and not surge
        assert serving >= (replicas - max(1, round(replicas * step)) if falls else replicas)
        assert sum(view.state is not STOPPING for view in there.values()) <= (replicas if falls else most)
        moving = [view for view in there.values() if view.state is not RUNNING]
        if not moving:
            break
        one = chance.choice(moving)
        if one.state is STOPPING:
            del there[one.id]
        else:
            there[one.id] = ReplicaView(one.id, one.version, RUNNING)
    assert [(view.version, view.state) for view in there.values()] == [("new", RUNNING)] * replicas


def test_a_surge_starts_above_the_target_first() -> None:
    old = [("old", RUNNING, 0)] * 10
    held = Wanted("new", 10, 0.2, stop_first=True)
    assert reconcile(held, views(*old)) == Plan(0, ("0", "1"))
    for surge, above in ((0.3, 3), (0.01, 1), (1, 10)):
        wanted = Wanted("new", 10, 0.2, stop_first=True, surge=surge)
        assert reconcile(wanted, views(*old)) == Plan(above, ())
        assert reconcile(wanted, views(*old, *[("new", STARTING, 0)] * above)) == Plan(0, ())
        plan = reconcile(wanted, views(*old, *[("new", RUNNING, 0)] * above))
        assert (plan.start, len(plan.stop)) == (0, above)
    assert reconcile(Wanted("new", 10, 0.2, surge=0.5), views(*old)).start == 5
    assert reconcile(Wanted("new", 10, 0.2), views(*old)).start == 2


def test_what_starts_of_an_older_version_is_stopped_at_once() -> None:
    there = views(("old", STARTING, 0), ("old", RUNNING, 0), ("old", STARTING, 0))
    for stop_first in (False, True):
        assert set(reconcile(Wanted("new", 3, 0.2, stop_first), there).stop) >= {"0", "2"}
    assert reconcile(Wanted("new", 1, 0.2, True), views(("old", STARTING, 0))) == Plan(0, ("0",))


def test_desired_replicas() -> None:
    config = AutoscalingConfig(min_replicas=1, max_replicas=10, target_ongoing_requests=2)
    assert [desired_replicas(config, 2, ongoing) for ongoing in (0, 4, 5, 8, 100)] == [1, 2, 3, 4, 10]
    slow = AutoscalingConfig(max_replicas=10, target_ongoing_requests=2, upscaling_factor=0.5)
    assert desired_replicas(slow, 2, 8) == 3


class Candidate:
    def __init__(self, *models: str) -> None:
        self.models = dict.fromkeys(models)


def test_the_less_loaded_of_two_is_picked() -> None:
    a, b, c = Candidate(), Candidate("m"), Candidate()
    chances = random.Random(1).random
    assert pick([], "", chances) is None
    assert pick([(a, 3)], "", chances) is a
    for _ in range(50):
        assert pick([(a, 1), (b, 0)], "", chances) is b
        assert pick([(a, 0), (b, 4), (c, 0)], "m", chances) is b
        assert pick([(a, 0), (b, 9), (c, 0)], "", chances) is not b
    assert {id(pick([(a, 0), (b, 0), (c, 0)], "", chances)) for _ in range(200)} == {id(a), id(b), id(c)}


def test_a_model_that_nobody_has_goes_where_the_fewest_are() -> None:
    a, b, c = Candidate("x", "y"), Candidate("z"), Candidate("u", "v")
    chances = random.Random(1).random
    for _ in range(20):
        assert pick([(a, 0), (b, 3), (c, 0)], "m", chances) is b


def test_the_longest_prefix_wins() -> None:
    routes = [("/x/deep", ("c", "C")), ("/x", ("b", "B")), ("/", ("a", "A"))]
    found = [longest_match(routes, path) for path in ("/x/deep/1", "/x", "/x/", "/xy", "/", "/x/deeper")]
    assert [route[1][0] if route else None for route in found] == ["c", "b", "b", "a", "a", "b"]
    assert longest_match(routes[:2], "/other") is None


def test_what_a_replica_lacks() -> None:
    total, free = {"CPU": 4.0, "memory": 100.0}, {"CPU": 1.0, "memory": 100.0}
    for options, found in (
        ({}, Lack.NOTHING),
        ({"num_cpus": 0, "num_gpus": 0, "resources": None}, Lack.NOTHING),
        ({"num_cpus": 1}, Lack.NOTHING),
        ({"num_cpus": 2}, Lack.FREE),
        ({"num_cpus": 5}, Lack.EVER),
        ({"num_gpus": 0.5}, Lack.EVER),
        ({"num_cpus": 1, "resources": {"tpu": 1}}, Lack.EVER),
        ({"memory": 101}, Lack.EVER),
    ):
        assert lack(asked_resources(options), total, free) is found, options


def test_options_are_checked() -> None:
    @serve.deployment
    class Some: ...

    for bad, error in (
        ({"num_replicas": 0}, ValueError),
        ({"num_replicas": "many"}, TypeError),
        ({"max_ongoing_requests": None}, ValueError),
        ({"name": "a#b"}, ValueError),
        ({"name": 3}, TypeError),
        ({"num_replica": 2}, TypeError),
        ({"version": "1"}, ValueError),
        ({"user_config": {"a": object()}}, ValueError),
        ({"ray_actor_options": {"max_restarts": 1}}, ValueError),
        ({"num_replicas": 2, "autoscaling_config": {"max_replicas": 3}}, ValueError),
        ({"autoscaling_config": {"min_replicas": 4, "max_replicas": 3}}, ValueError),
        ({"autoscaling_config": {"max_replica": 3}}, ValueError),
    ):
        with pytest.raises(error):
            Some.options(**bad)
    with pytest.raises(TypeError, match="Did you mean 'num_replicas'"):
        Some.options(num_replica=2)
    auto = Some.options(num_replicas="auto", autoscaling_config={"max_replicas": 7}, name="b")
    assert (auto.name, auto.num_replicas, auto.max_ongoing_requests) == ("b", 1, 5)
    with pytest.raises(RuntimeError, match="bind"):
        Some()
    wrong: Any
    for wrong in (Some, Some.func_or_class):
        with pytest.raises(TypeError, match="bind"):
            serve.run(wrong)
    with pytest.raises(TypeError, match="function"):
        serve.deployment(lambda: None).bind(1)
    with pytest.raises(TypeError, match="classes and functions"):
        decorate: Any = serve.deployment
        decorate(3)
