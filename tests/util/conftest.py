"""An engine inside the test's process: each task and each actor has a thread or an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import inspect
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import ray_async
from ray_async.engine.groups import GroupDescription, GroupRow, KnownGroup
from ray_async.exceptions import ActorDiedError
from ray_async.ids import PlacementGroupID

GROUP_ID = "ab" * 18


class FakeRef:
    def __init__(self, future: concurrent.futures.Future[Any]) -> None:
        self.done = future

    def __await__(self) -> Any:
        return asyncio.wrap_future(self.done).__await__()


class FakeHandle:
    def __init__(self, engine: FakeEngine, cls: type, options: dict[str, Any], args: tuple[Any, ...]) -> None:
        self.options = options
        self._engine = engine
        self._instance = cls(*args)
        self._dead = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def __getattr__(self, name: str) -> Any:
        if name == "__ray_terminate__":
            return FakeCall(lambda: self._end())
        method = getattr(self._instance, name)
        return FakeCall(lambda *args: self._call(method, args))

    def _call(self, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if self._dead:
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            future.set_exception(ActorDiedError())
            return FakeRef(future)

        async def run() -> Any:
            result = method(*args)
            return await result if inspect.isawaitable(result) else result

        return FakeRef(asyncio.run_coroutine_threadsafe(run(), self._loop))

    def _end(self) -> FakeRef:
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        done.set_result(None)
        self.stop()
        return FakeRef(done)

    def stop(self) -> None:
        if self._dead:
            return
        self._dead = True

        async def cancel_all() -> None:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(cancel_all(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class FakeCall:
    def __init__(self, remote: Callable[..., Any]) -> None:
        self.remote = remote


class FakeClass:
    def __init__(self, engine: FakeEngine, cls: type, options: dict[str, Any]) -> None:
        self._engine, self._cls, self._options = engine, cls, options

    def options(self, **options: Any) -> FakeClass:
        return FakeClass(self._engine, self._cls, options)

    def remote(self, *args: Any) -> FakeHandle:
        handle = FakeHandle(self._engine, self._cls, self._options, args)
        self._engine.handles.append(handle)
        return handle


class FakeEngine:
    """`get`, `wait`, `remote` and `kill` of the public API, over futures."""

    def __init__(self) -> None:
        self.handles: list[FakeHandle] = []
        self.threads = concurrent.futures.ThreadPoolExecutor(8)

    def remote(self, target: Any) -> Any:
        if isinstance(target, type):
            return FakeClass(self, target, {})
        return FakeCall(lambda *args: FakeRef(self.threads.submit(target, *args)))

    def get(self, refs: Any, *, timeout: float | None = None) -> Any:
        return [ref.done.result(timeout) for ref in refs] if isinstance(refs, list) else refs.done.result(timeout)

    def wait(
        self, refs: list[FakeRef], *, num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[FakeRef], list[FakeRef]]:
        changed = threading.Condition()

        def on_done(_: Any) -> None:
            with changed:
                changed.notify_all()

        for ref in refs:
            ref.done.add_done_callback(on_done)
        with changed:
            changed.wait_for(lambda: sum(ref.done.done() for ref in refs) >= num_returns, timeout)
        ready = [ref for ref in refs if ref.done.done()][:num_returns]
        return ready, [ref for ref in refs if ref not in ready]

    def kill(self, actor: FakeHandle, *, no_restart: bool = True) -> None:
        actor.stop()

    def shutdown(self) -> None:
        for handle in self.handles:
            handle.stop()
        self.threads.shutdown()


class FakeGroups:
    """Placement groups that are never there: notes what is asked, and answers with what the test has put here."""

    def __init__(self) -> None:
        self.created: list[GroupDescription] = []
        self.removed: list[PlacementGroupID] = []
        self.known: KnownGroup | None = None
        self.rows: dict[str, GroupRow] = {}

    def create(self, description: GroupDescription) -> PlacementGroupID:
        self.created.append(description)
        return PlacementGroupID.from_hex(GROUP_ID)

    def remove(self, group: PlacementGroupID) -> None:
        self.removed.append(group)

    def find(self, name: str) -> KnownGroup | None:
        return self.known

    def table(self, group: PlacementGroupID | None = None) -> dict[str, GroupRow]:
        return self.rows

    def ready(self, group: PlacementGroupID, value: Any) -> Any:
        return f"a reference to {value}"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    engine = FakeEngine()
    for name in ("get", "wait", "remote", "kill"):
        monkeypatch.setattr(ray_async, name, getattr(engine, name), raising=False)
    yield engine
    engine.shutdown()


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> FakeGroups:
    groups = FakeGroups()
    # The package's attribute `placement_group` is the function, so the module is looked up by its full name.
    module = importlib.import_module("ray_async.util.placement_group")
    monkeypatch.setattr(module, "get_session", lambda: SimpleNamespace(groups=groups))
    return groups
