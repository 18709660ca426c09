"""A great many of one thing, one after the other, in a small store: what is left must not depend on how many."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import ray_async as ray
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.resources import becomes_true
from tests.soak.figures import Figures, statistics

__all__ = ("KINDS", "run_many")

_STORE = 100 << 20
_WARM = 0.1  # share of the steps after which memory is to be flat
_SLACK = 8 << 20  # bytes that a process, or the store, may have more at the end
_LOOK_SLACK_US = 500
_TIMEOUT_S = 60


@ray.remote
def plus_one(x: int) -> int:
    return x + 1


@ray.remote(num_cpus=0)
class Caller:
    def call(self, x: int) -> int:
        return int(ray.get(plus_one.remote(x)))


@ray.remote(max_retries=0, max_calls=1)
def calls_once(x: int) -> int:
    return int(ray.get(plus_one.remote(x)))


@ray.remote(max_retries=0)
def calls_and_dies(x: int) -> None:
    ray.get(plus_one.remote(x))
    os.kill(os.getpid(), signal.SIGKILL)


def processes() -> Iterator[None]:
    """Processes that submit one task each, and end in one of three ways."""
    for i in range(1 << 60):
        if i % 3 == 0:
            caller = Caller.remote()
            assert ray.get(caller.call.remote(i), timeout=_TIMEOUT_S) == i + 1
        elif i % 3 == 1:
            assert ray.get(calls_once.remote(i), timeout=_TIMEOUT_S) == i + 1
        else:
            try:
                ray.get(calls_and_dies.remote(i), timeout=_TIMEOUT_S)
            except ray.exceptions.WorkerCrashedError:
                yield
                continue
            raise AssertionError("a task that kills its process has returned")
        yield


def groups() -> Iterator[None]:
    """Placement groups with one task each."""
    for i in range(1 << 60):
        group = ray.util.placement_group([{"CPU": 1}])
        ray.get(group.ready(), timeout=_TIMEOUT_S)
        inside = plus_one.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group))
        assert ray.get(inside.remote(i), timeout=_TIMEOUT_S) == i + 1
        ray.util.remove_placement_group(group)
        yield


def option_sets() -> Iterator[None]:
    """Distinct options, ten at a time."""
    for i in range(1 << 60):
        refs = [plus_one.options(memory=1000 + 10 * i + k).remote(k) for k in range(10)]
        assert ray.get(refs, timeout=_TIMEOUT_S) == list(range(1, 11))
        for _ in refs:
            yield


def functions() -> Iterator[None]:
    """Distinct functions."""
    for i in range(1 << 60):
        number = i  # captured, so that each function is another one
        assert ray.get(ray.remote(lambda: number).remote(), timeout=_TIMEOUT_S) == i  # noqa: B023
        yield


KINDS: dict[str, tuple[Callable[[], Iterator[None]], int]] = {
    "processes": (processes, 20_000),
    "groups": (groups, 10_000),
    "option-sets": (option_sets, 100_000),
    "functions": (functions, 20_000),
}


def run_many(kind: str, count: int, say: Callable[[str], Any] = print) -> list[str]:
    """Make so many of a kind, and return what is wrong afterwards.

    Args:
        kind: a key of ``KINDS``.
        count: how many.
        say: called with a line now and then.
    """
    steps, _ = KINDS[kind]
    with ray.init(num_cpus=2, object_store_memory=_STORE):
        at_work = steps()
        warm = max(1, int(count * _WARM))
        list(islice(at_work, warm))
        before = after = settled()
        say(f"{kind} {warm:7}: {before}")
        for part in range(4):
            list(islice(at_work, (count - warm) // 4))
            after = settled()
            say(f"{kind} {warm + (part + 1) * (count - warm) // 4:7}: {after}")
    first, last = before.as_dict(), after.as_dict()
    wrong = [
        f"{kind}: {name} has grown from {first[name]} to {last[name]} bytes"
        for name in ("used", "node", "driver")
        if last[name] > first[name] + _SLACK
    ]
    if after.look_us > 2 * before.look_us + _LOOK_SLACK_US:
        wrong.append(f"{kind}: a look at everything takes {after.look_us:.0f} us, and took {before.look_us:.0f}")
    return wrong


def settled() -> Figures:
    """Figures once what has ended is gone."""
    becomes_true(lambda: statistics()["classes"] <= 12, _TIMEOUT_S)
    return Figures.now()
