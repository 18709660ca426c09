"""What the runtime context says in drivers, tasks and actors."""

import asyncio
import json
import warnings
from typing import Any

import pytest

import ray_async as ray
from ray_async.ids import ActorID, TaskID
from tests.api.fake_session import JOB, NODE, FakeSession

TASK = TaskID.of(JOB)


def test_driver(session: FakeSession) -> None:
    context = ray.get_runtime_context()
    assert (context.get_job_id(), context.get_node_id()) == (JOB.hex(), NODE.hex())
    assert context.get() == {"job_id": JOB, "node_id": NODE, "namespace": "here"}
    assert context.get_actor_id() is None and context.get_actor_name() is None
    assert context.get_placement_group_id() is None
    for ask in (context.get_task_id, context.get_task_name, context.get_task_function_name):
        with pytest.warns(UserWarning, match="only available in a task"):
            assert ask() is None
    with pytest.raises(AssertionError):
        context.get_assigned_resources()
    with pytest.raises(RuntimeError, match="driver"):
        context.is_canceled()
    with pytest.raises(RuntimeError, match="only available in an actor"):
        _ = context.current_actor


def test_task(session: FakeSession) -> None:
    session.now = session.now._replace(
        is_driver=False, task_id=TASK, task_name="n", function_name="m.f", assigned_resources={"CPU": 1.0}
    )
    context = ray.get_runtime_context()
    assert (context.get_task_id(), context.get_task_name()) == (TASK.hex(), "n")
    assert context.get_task_function_name() == "m.f"
    assert context.get_assigned_resources() == {"CPU": 1.0}
    assert context.get()["task_id"] == TASK and "actor_id" not in context.get()
    assert context.is_canceled() is False


def test_actor(session: FakeSession) -> None:
    class A: ...

    handle = ray.remote(A).remote()
    session.now = session.now._replace(
        is_driver=False,
        task_id=TASK,
        actor_id=handle._actor_id,
        actor=(handle._ray_core, handle._ray_meta),
        is_async_actor=True,
        was_reconstructed=True,
        runtime_env={"env_vars": {}},
    )
    context = ray.get_runtime_context()
    assert context.current_actor == handle
    assert (context.get_actor_id(), context.get_actor_name()) == (handle._actor_id.hex(), "")
    assert context.was_current_actor_reconstructed
    assert json.loads(context.get_runtime_env_string()) == {"env_vars": {}}

    async def on_the_loop() -> None:
        context.is_canceled()

    with pytest.raises(RuntimeError, match="not supported in an async actor"):
        asyncio.run(on_the_loop())
    assert context.is_canceled() is False  # a method that runs in a thread


@pytest.mark.parametrize("name", ["job_id", "node_id", "task_id", "actor_id"])
def test_deprecated_ids(session: FakeSession, name: str) -> None:
    session.now = session.now._replace(is_driver=False, task_id=TASK, actor_id=ActorID.of(JOB))
    context: Any = ray.get_runtime_context()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert getattr(context, name).hex() == getattr(context, f"get_{name}")()
    assert [f"Use get_{name}() instead" in str(warning.message) for warning in caught] == [True]
