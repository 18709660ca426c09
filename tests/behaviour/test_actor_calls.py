"""Calls of real actors: order, arguments that are missing, deaths, ends, restarts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from tests.resources import wait_until

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=4, object_store_memory=100 << 20):
        yield


@ray.remote(num_cpus=0)
def value_once(path: str, value: Any) -> Any:
    """The value, as soon as a file exists."""
    while not os.path.exists(path):
        time.sleep(0.005)
    return value


class Plain:
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def add(self, value: Any) -> Any:
        """Note a value."""
        self.seen.append(value)
        return value

    def all(self) -> list[Any]:
        """What was noted."""
        return self.seen

    def pid(self) -> int:
        """The actor's process."""
        return os.getpid()


class Coroutines(Plain):
    """The same on an event loop."""

    async def add(self, value: Any) -> Any:
        """Note a value."""
        self.seen.append(value)
        return value


def sequential() -> Any:
    """An actor that takes one call at a time."""
    return ray.remote(Plain).remote()


def threaded() -> Any:
    """An actor with threads."""
    return ray.remote(max_concurrency=2)(Plain).remote()


def on_a_loop() -> Any:
    """An async actor that takes one call at a time."""
    return ray.remote(max_concurrency=1)(Coroutines).remote()


@ray.remote(num_cpus=0)
class Caller:
    """Another caller."""

    def add(self, actor: Any, count: int) -> list[int]:
        """Call an actor some times."""
        return ray.get([actor.add.remote(i) for i in range(count)])


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return True


@pytest.mark.parametrize("make", [sequential, threaded, on_a_loop])
def test_a_call_without_its_argument_holds_up_no_other_caller(make: Callable[[], Any], tmp_path: Path) -> None:
    actor, path = make(), str(tmp_path / "go")
    late = actor.add.remote(value_once.remote(path, "late"))
    assert ray.get(Caller.remote().add.remote(actor, 3), timeout=TIMEOUT_S) == [0, 1, 2]
    Path(path).touch()
    assert ray.get(late, timeout=TIMEOUT_S) == "late"
    *early, last = ray.get(actor.all.remote(), timeout=TIMEOUT_S)
    assert (sorted(early), last) == ([0, 1, 2], "late")  # threads may overtake each other


def test_calls_may_overtake_each_other_where_the_actor_allows_it(tmp_path: Path) -> None:
    path = tmp_path / "go"
    actor: Any = ray.remote(allow_out_of_order_execution=True)(Plain).remote()
    late = actor.add.remote(value_once.remote(str(path), "late"))
    assert ray.get(actor.add.remote("early"), timeout=TIMEOUT_S) == "early"
    path.touch()
    assert ray.get(late, timeout=TIMEOUT_S) == "late"


def test_calls_of_one_caller_keep_their_order(tmp_path: Path) -> None:
    actor, path = sequential(), str(tmp_path / "go")
    calls = [actor.add.remote(value_once.remote(path, "first")), *(actor.add.remote(i) for i in range(5))]
    ray.get(Caller.remote().add.remote(actor, 1), timeout=TIMEOUT_S)
    assert ray.wait(calls, timeout=0)[0] == []
    Path(path).touch()
    ray.get(calls, timeout=TIMEOUT_S)
    assert ray.get(actor.all.remote(), timeout=TIMEOUT_S) == [0, "first", 0, 1, 2, 3, 4]


@pytest.mark.parametrize("make", [threaded, on_a_loop])
def test_concurrent_actors_run_what_can_run(make: Callable[[], Any], tmp_path: Path) -> None:
    actor, path = make(), str(tmp_path / "go")
    late = actor.add.remote(value_once.remote(path, "late"))
    assert ray.get(actor.add.remote("early"), timeout=TIMEOUT_S) == "early"
    Path(path).touch()
    assert ray.get(late, timeout=TIMEOUT_S) == "late"


@pytest.mark.parametrize("make", [sequential, threaded, on_a_loop])
def test_a_call_that_waits_for_an_argument_can_be_cancelled(make: Callable[[], Any], tmp_path: Path) -> None:
    actor = make()
    late = actor.add.remote(value_once.remote(str(tmp_path / "go"), "late"))
    following = actor.add.remote("following")
    ray.get(Caller.remote().add.remote(actor, 1), timeout=TIMEOUT_S)
    ray.cancel(late)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(late, timeout=TIMEOUT_S)
    assert ray.get(following, timeout=TIMEOUT_S) == "following"
    (tmp_path / "go").touch()


def test_calls_that_wait_for_arguments_die_with_their_actor(tmp_path: Path) -> None:
    actor, path = sequential(), str(tmp_path / "go")
    late, following = actor.add.remote(value_once.remote(path, "late")), actor.add.remote("following")
    ray.get(Caller.remote().add.remote(actor, 1), timeout=TIMEOUT_S)
    ray.kill(actor)
    for call in (late, following):
        with pytest.raises(ray.exceptions.ActorDiedError):
            ray.get(call, timeout=TIMEOUT_S)
    Path(path).touch()


def test_a_failed_argument_fails_the_call_alone() -> None:
    @ray.remote
    def broken() -> None:
        raise ValueError("no value")

    actor = sequential()
    failing, following = actor.add.remote(broken.remote()), actor.add.remote("following")
    with pytest.raises(ValueError, match="no value"):
        ray.get(failing, timeout=TIMEOUT_S)
    assert ray.get(following, timeout=TIMEOUT_S) == "following"


def test_a_restarted_actor_goes_on_in_order(tmp_path: Path) -> None:
    @ray.remote(max_restarts=1, max_task_retries=1)
    class Fragile(Plain):
        def die_once(self, path: str) -> str:
            if not os.path.exists(path):
                Path(path).touch()
                os._exit(1)
            self.seen.append("survived")
            return "survived"

    remote_class: Any = Fragile
    actor, go = remote_class.remote(), str(tmp_path / "go")
    ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    calls = [
        actor.die_once.remote(str(tmp_path / "died")),
        actor.add.remote(0),
        actor.add.remote(value_once.remote(go, "late")),
        actor.add.remote(1),
    ]
    assert ray.get(calls[:2], timeout=TIMEOUT_S) == ["survived", 0]
    Path(go).touch()
    assert ray.get(calls, timeout=TIMEOUT_S) == ["survived", 0, "late", 1]
    assert ray.get(actor.all.remote(), timeout=TIMEOUT_S) == ["survived", 0, "late", 1]


def test_no_call_runs_after_a_kill() -> None:
    for _ in range(20):
        actor = sequential()
        ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
        ray.kill(actor)
        with pytest.raises(ray.exceptions.ActorDiedError):
            ray.get(actor.add.remote(1), timeout=TIMEOUT_S)


@pytest.mark.parametrize("make", [sequential, threaded, on_a_loop])
def test_an_actor_ends_with_its_last_handle(make: Callable[[], Any]) -> None:
    actor = make()
    pid = ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    result = actor.add.remote(1)  # a result that is kept does not keep the actor
    ray.get(result, timeout=TIMEOUT_S)
    del actor
    wait_until(lambda: ended(pid), TIMEOUT_S)
    assert ray.get(result, timeout=TIMEOUT_S) == 1


def test_an_actor_without_handles_finishes_its_calls(tmp_path: Path) -> None:
    actor, path = sequential(), str(tmp_path / "go")
    pid = ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    late = actor.add.remote(value_once.remote(path, "late"))
    del actor
    Path(path).touch()
    assert ray.get(late, timeout=TIMEOUT_S) == "late"
    wait_until(lambda: ended(pid), TIMEOUT_S)


@pytest.mark.parametrize(("code", "restarted"), [(0, False), (1, True), (None, True)])
def test_which_exits_are_failures(code: int | None, restarted: bool) -> None:
    @ray.remote(max_restarts=1)
    class Leaving:
        def pid(self) -> int:
            return os.getpid()

        def leave(self) -> None:
            sys.exit(code)

    remote_class: Any = Leaving
    actor = remote_class.remote()
    before = ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.leave.remote(), timeout=TIMEOUT_S)
    if restarted:
        after = ray.get(actor.pid.options(max_task_retries=1).remote(), timeout=TIMEOUT_S)
        assert after != before
    else:
        with pytest.raises(ray.exceptions.ActorDiedError):
            ray.get(actor.pid.remote(), timeout=TIMEOUT_S)


@pytest.mark.parametrize("base", [Plain, Coroutines])
def test_a_class_that_cannot_be_loaded_says_so(base: type) -> None:
    class Unloadable:
        def __reduce__(self) -> Any:
            return eval, ("1 / 0",)

    broken = type("Broken", (base,), {"part": Unloadable()})
    with pytest.raises(ray.exceptions.ActorDiedError, match="division by zero"):
        ray.get(ray.remote(broken).remote().pid.remote(), timeout=TIMEOUT_S)


def test_a_taken_name_is_refused() -> None:
    first = ray.remote(Plain).options(name="taken").remote()
    ray.get(first.pid.remote(), timeout=TIMEOUT_S)
    with pytest.raises(ValueError, match="Please use a different name"):
        ray.remote(Plain).options(name="taken").remote()


def test_function_names_leave_out_where_a_function_was_defined() -> None:
    @ray.remote
    def inner() -> str | None:
        return ray.get_runtime_context().get_task_function_name()

    assert ray.get(inner.remote(), timeout=TIMEOUT_S) == f"{__name__}.inner"


@pytest.mark.parametrize("base", [Plain, Coroutines])
def test_a_running_method_knows_its_names(base: type) -> None:
    class Curious(base):  # type: ignore[misc]
        def names(self) -> Any:
            context = ray.get_runtime_context()
            return context.get_task_name(), context.get_task_function_name()

        async def async_names(self) -> Any:
            return self.names()

    remote_class: Any = ray.remote(Curious)
    actor = remote_class.remote()
    for method in ("names", "async_names"):
        expected = (f"Curious.{method}", f"{__name__}.Curious.{method}")
        assert ray.get(getattr(actor, method).remote(), timeout=TIMEOUT_S) == expected


def test_names_are_listed_by_namespace() -> None:
    first = ray.remote(Plain).options(name="here").remote()
    second = ray.remote(Plain).options(name="there", namespace="elsewhere").remote()
    ray.get([first.pid.remote(), second.pid.remote()], timeout=TIMEOUT_S)
    assert "here" in ray.util.list_named_actors()
    assert "there" not in ray.util.list_named_actors()
    assert {"name": "there", "namespace": "elsewhere"} in ray.util.list_named_actors(all_namespaces=True)


def test_a_finished_task_keeps_no_handle_that_it_was_given() -> None:
    @ray.remote
    def use(actor: Any) -> int:
        return int(ray.get(actor.add.remote(1)))

    actor = sequential()
    pid = ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    result: Any = use.remote(actor)
    del actor
    assert ray.get([result], timeout=TIMEOUT_S) == [1]
    wait_until(lambda: ended(pid), TIMEOUT_S)
    assert ray.get([result], timeout=TIMEOUT_S) == [1]
