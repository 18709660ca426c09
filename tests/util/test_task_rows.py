"""Rows of tasks and actors: what their options put there, and the states of calls that end in unusual ways."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError, TaskCancelledError
from ray_async.util import state
from tests.gate import Gate


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray.init(num_cpus=2, _system_config={"profiling": True}):
        yield


@ray.remote
def double(x: int) -> int:
    return 2 * x


@ray.remote
class Keeper:
    def __init__(self, gate: Any = None) -> None:
        if gate is not None:
            ray.get(gate.wait.remote())

    def pid(self) -> int:
        return os.getpid()


def row_of(ref: Any) -> state.StateRow:
    row = state.get_task(ref)
    assert row is not None
    return row


def rows_named(name: str) -> list[state.StateRow]:
    return state.list_tasks(filters=[("name", "=", name)])


def test_names_and_labels_of_calls_are_shown() -> None:
    task = double.options(name="precious", _labels={"team": "a", "kind": "b"}).remote(2)
    assert ray.get(task) == 4
    row = row_of(task)
    assert (row["name"], row.func_or_class_name, row.labels) == ("precious", "double", {"team": "a", "kind": "b"})
    keeper = Keeper.options(_labels={"shard": "7"}).remote()
    call = keeper.pid.options(name="who", _labels={"x": "y"}).remote()
    ray.get(call)
    assert (row_of(call)["name"], row_of(call).labels) == ("who", {"x": "y"})
    actor = state.get_actor(keeper._actor_id.hex())
    assert actor is not None and actor.labels == {"shard": "7"}
    plain = double.remote(1)
    assert ray.get(plain) == 2
    assert (row_of(plain)["name"], row_of(plain).labels) == ("double", {})


def test_a_name_is_shown_beside_options_of_every_kind() -> None:
    class Unlucky(Exception):
        pass

    ref = double.options(name="é {}\n" * 3, retry_exceptions=[Unlucky]).remote(1)
    assert ray.get(ref) == 2
    assert row_of(ref)["name"] == "é {}\n" * 3


def test_errors_that_are_retried_are_those_that_are_named() -> None:
    @ray.remote(max_retries=2, retry_exceptions=[LookupError])
    def fails(kind: type[Exception]) -> None:
        raise kind("wrong")

    with pytest.raises(LookupError):
        ray.get(attempts := fails.remote(LookupError))
    assert row_of(attempts).attempt_number == 2
    with pytest.raises(TypeError):
        ray.get(attempts := fails.remote(TypeError))
    assert row_of(attempts).attempt_number == 0


def test_calls_that_want_no_listing_have_none() -> None:
    @ray.remote(enable_task_events=False)
    def secret() -> int:
        return 1

    ref = secret.remote()
    other = double.options(name="open").remote(1)
    assert ray.get([ref, other]) == [1, 2]
    assert rows_named("secret") == [] and state.get_task(ref) is None
    assert len(rows_named("open")) == 1
    quiet = Keeper.options(enable_task_events=False).remote()
    shown = quiet.pid.options(enable_task_events=True, name="shown").remote()
    hidden = quiet.pid.options(name="hidden").remote()
    ray.get([shown, hidden])
    assert (len(rows_named("shown")), rows_named("hidden")) == (1, [])
    quiet_id = quiet._actor_id.hex()
    assert not state.list_tasks(filters=[("actor_id", "=", quiet_id), ("type", "=", "ACTOR_CREATION_TASK")])


def test_the_timeline_leaves_out_who_wants_no_listing(wait_until: Callable[..., None]) -> None:
    @ray.remote(enable_task_events=False)
    def silent() -> int:
        return 1

    @ray.remote
    def loud() -> int:
        return 2

    assert ray.get([silent.remote(), loud.remote()]) == [1, 2]
    wait_until(lambda: any(event["name"] == "loud" for event in ray.timeline() or ()))
    assert not any(event["name"] == "silent" for event in ray.timeline() or ())


def test_the_start_of_an_actor_that_lives_is_finished(wait_until: Callable[..., None]) -> None:
    gate = Gate.remote()
    keeper = Keeper.remote(gate)
    of_keeper = [("actor_id", "=", keeper._actor_id.hex()), ("type", "=", "ACTOR_CREATION_TASK")]
    wait_until(lambda: [row.state for row in state.list_tasks(filters=of_keeper)] == ["RUNNING"])
    ray.get(gate.open.remote())
    ray.get(keeper.pid.remote())
    assert [row.state for row in state.list_tasks(filters=of_keeper)] == ["FINISHED"]


def test_a_call_that_is_cancelled_before_its_actor_lives(wait_until: Callable[..., None]) -> None:
    gate = Gate.remote()
    keeper = Keeper.remote(gate)
    cancelled, kept = keeper.pid.remote(), keeper.pid.remote()
    assert row_of(cancelled).state == "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
    ray.cancel(cancelled)
    for _ in range(2):
        row = row_of(cancelled)
        assert (row.state, row.error_type) == ("FAILED", "TASK_CANCELLED")
        assert "was cancelled" in row.error_message
        assert row.worker_id is None
        ray.get(gate.open.remote())  # the same once the actor lives, and has run what came after
        assert isinstance(ray.get(kept, timeout=60), int)
    with pytest.raises(TaskCancelledError):
        ray.get(cancelled)


def test_why_an_actor_was_not_restarted(wait_until: Callable[..., None]) -> None:
    keeper = Keeper.options(max_restarts=1, max_task_retries=-1).remote()
    actor_id = keeper._actor_id.hex()

    def verdict() -> str:
        row = state.get_actor(actor_id)
        assert row is not None
        return str(row.restart_verdict)

    pid = ray.get(keeper.pid.remote())
    assert verdict() == "restart, 0 left after it"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: ray.get(keeper.pid.remote()) != pid)
    assert verdict() == "no restart: all 1 restarts of max_restarts=1 are used up"
    os.kill(ray.get(keeper.pid.remote()), signal.SIGKILL)
    reason = "It is not restarted because all 1 restarts of max_restarts=1 are used up."
    with pytest.raises(ActorDiedError, match=reason):
        for _ in range(1000):
            ray.get(keeper.pid.remote(), timeout=60)
    assert verdict() == "no restart: all 1 restarts of max_restarts=1 are used up"
    killed = Keeper.options(max_restarts=-1).remote()
    ray.get(killed.pid.remote())
    ray.kill(killed)
    row = state.get_actor(killed._actor_id.hex())
    assert row is not None and row.restart_verdict == "no restart: it was killed by `ray.kill`"


@pytest.mark.parametrize("debugger", ["breakpoint", "pdb"])
def test_a_breakpoint_says_what_to_do(debugger: str) -> None:
    @ray.remote
    def stops() -> None:
        if debugger == "breakpoint":
            breakpoint()
        else:
            import pdb

            pdb.set_trace()

    @ray.remote
    class Stops:
        async def run(self) -> None:
            breakpoint()

    calls = [stops.remote(), Stops.remote().run.remote()] if debugger == "breakpoint" else [stops.remote()]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"no terminal.*Run the code in the driver.*PYTHONBREAKPOINT"):
            ray.get(call)


def test_a_breakpoint_goes_where_it_is_told_to() -> None:
    @ray.remote(runtime_env={"env_vars": {"PYTHONBREAKPOINT": "0"}})
    def goes_on() -> int:
        breakpoint()
        return 1

    assert ray.get(goes_on.remote()) == 1
