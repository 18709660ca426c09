"""How actors end themselves: what runs before, what callers see, and what ends with them."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Iterator
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


class Tidy:
    """Notes in a file what runs at its end."""

    def __init__(self, path: str) -> None:
        self.path = path
        atexit.register(self.note, "atexit")

    def note(self, what: str) -> None:
        """Add a line."""
        with open(self.path, "a") as file:
            file.write(f"{what}\n")

    def __ray_shutdown__(self) -> None:
        self.note("shutdown")
        raise RuntimeError("the end comes nevertheless")

    def pid(self) -> int:
        """The actor's process."""
        return os.getpid()

    def leave(self) -> None:
        """End the actor."""
        ray.actor.exit_actor()

    def try_to_stay(self) -> str:
        """End the actor, and go on as if nothing had happened."""
        try:
            ray.actor.exit_actor()
        except SystemExit:
            return "still here"


class AsyncTidy(Tidy):
    """The same on a loop."""

    async def nothing(self) -> None:
        """Makes the class asynchronous."""

    async def leave_later(self) -> None:
        """End the actor in a task that no call waits for."""
        self.task = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        ray.actor.exit_actor()


def ended(path: Path) -> bool:
    """Whether both hooks have run, in their order."""
    return path.exists() and path.read_text() == "shutdown\natexit\n"


@pytest.mark.parametrize("cls", [Tidy, AsyncTidy])
def test_the_hooks_run_when_all_handles_are_gone(cls: type, tmp_path: Path) -> None:
    actor: Any = ray.remote(cls).remote(str(tmp_path / "end"))
    ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    del actor
    wait_until(lambda: ended(tmp_path / "end"))


@pytest.mark.parametrize("cls", [Tidy, AsyncTidy])
@pytest.mark.parametrize("method", ["leave", "try_to_stay", "__ray_terminate__"])
def test_the_hooks_run_when_the_actor_ends_itself(cls: type, method: str, tmp_path: Path) -> None:
    actor: Any = ray.remote(cls).remote(str(tmp_path / "end"))
    with pytest.raises(ray.exceptions.ActorDiedError, match="exit_actor"):
        ray.get(getattr(actor, method).remote(), timeout=TIMEOUT_S)
    assert ended(tmp_path / "end")
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.pid.remote(), timeout=TIMEOUT_S)


def test_an_async_actor_ends_itself_in_a_task_of_its_own(tmp_path: Path) -> None:
    actor: Any = ray.remote(max_restarts=1)(AsyncTidy).remote(str(tmp_path / "end"))
    ray.get(actor.leave_later.remote(), timeout=TIMEOUT_S)
    wait_until(lambda: ended(tmp_path / "end"))
    with pytest.raises(ray.exceptions.ActorDiedError, match="exit_actor"):
        while True:
            ray.get(actor.pid.remote(), timeout=TIMEOUT_S)


def test_a_kill_runs_no_hook(tmp_path: Path) -> None:
    actor: Any = ray.remote(Tidy).remote(str(tmp_path / "end"))
    ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    ray.kill(actor)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    assert not (tmp_path / "end").exists()


def test_only_an_actor_can_end_itself() -> None:
    @ray.remote
    def task() -> None:
        ray.actor.exit_actor()

    with pytest.raises(TypeError, match="non-actor worker"):
        ray.actor.exit_actor()
    with pytest.raises(TypeError, match="non-actor worker"):
        ray.get(task.remote(), timeout=TIMEOUT_S)


class Parent:
    """Creates another actor."""

    def child(self, detached: bool) -> Any:
        """A child that somebody else keeps."""
        options: dict[str, Any] = {"lifetime": "detached", "name": "detached-child"} if detached else {}
        return ray.remote(Plain).options(**options).remote()

    def pid(self) -> int:
        """The parent's process."""
        return os.getpid()


class Plain:
    """Is there."""

    def answer(self) -> int:
        """The answer."""
        return 42


def test_an_actor_ends_with_the_one_that_created_it() -> None:
    parent: Any = ray.remote(Parent).remote()
    child: Any = ray.get(parent.child.remote(False), timeout=TIMEOUT_S)
    detached: Any = ray.get(parent.child.remote(True), timeout=TIMEOUT_S)
    assert ray.get([child.answer.remote(), detached.answer.remote()], timeout=TIMEOUT_S) == [42, 42]
    ray.kill(parent)
    with pytest.raises(ray.exceptions.ActorDiedError, match="its owner has died"):
        while True:
            ray.get(child.answer.remote(), timeout=TIMEOUT_S)
    assert ray.get(detached.answer.remote(), timeout=TIMEOUT_S) == 42
    ray.kill(detached)


def test_an_actor_outlives_the_task_that_created_it() -> None:
    @ray.remote(max_calls=1)
    def create() -> Any:
        return ray.remote(Plain).remote(), os.getpid()

    child, pid = ray.get(create.remote(), timeout=TIMEOUT_S)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert ray.get(child.answer.remote(), timeout=TIMEOUT_S) == 42


def test_a_class_may_refer_to_its_own_actor_class() -> None:
    @ray.remote(num_cpus=0)
    class Node:
        def grow(self, depth: int) -> list[str]:
            child: Any = Node.remote()
            return ["node", *(ray.get(child.grow.remote(depth - 1)) if depth else [])]

    root: Any = Node.remote()
    assert ray.get(root.grow.remote(2), timeout=TIMEOUT_S) == ["node"] * 3


class Init:
    """Notes what it is while it is made, and in a thread of its own."""

    def __init__(self) -> None:
        self.ids = [ray.get_runtime_context().get_actor_id()]
        thread = threading.Thread(target=lambda: self.ids.append(ray.get_runtime_context().get_actor_id()))
        thread.start()
        thread.join()

    def all(self) -> list[str | None]:
        """What was noted."""
        return self.ids


class AsyncInit(Init):
    """The same on a loop."""

    async def nothing(self) -> None:
        """Makes the class asynchronous."""


@pytest.mark.parametrize("cls", [Init, AsyncInit])
def test_an_actor_knows_itself_while_it_is_made(cls: type) -> None:
    actor: Any = ray.remote(cls).remote()
    assert ray.get(actor.all.remote(), timeout=TIMEOUT_S) == [actor._actor_id.hex()] * 2


class Leaving(AsyncTidy):
    """Ends itself in a task that its constructor starts."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.task = asyncio.get_running_loop().create_task(self._leave())


def test_an_async_actor_ends_itself_while_it_is_made(tmp_path: Path) -> None:
    actor: Any = ray.remote(Leaving).remote(str(tmp_path / "end"))
    wait_until(lambda: ended(tmp_path / "end"))
    del actor
