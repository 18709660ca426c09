"""The router between a board and actors that the test plays: what is sent, and when."""

import asyncio
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_async import cloudpickle, serve
from ray_async.serve.application import build
from ray_async.serve.board import RUNNING, Board
from ray_async.serve.context import RequestContext, current_request
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.exceptions import RequestCancelledError
from ray_async.serve.handle.response import Call, DeploymentResponse
from ray_async.serve.handle.router import Router
from ray_async.serve.waiting import Tallies


class Reference:
    """The reference to a call's result; the test decides when it is there."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Any], object]] = []

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._callbacks.append(callback)

    def exception(self) -> None:
        return None

    def result(self) -> str:
        return "done"

    def finish(self) -> None:
        for callback in self._callbacks:
            callback(self)


class Actor:
    """A replica's actor: notes the ids of the requests that it was sent."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.references: list[Reference] = []
        self.call = self

    def remote(self, about: tuple[str, str, str, str], *args: Any) -> Reference:
        self.received.append(about[1])
        self.references.append(Reference())
        return self.references[-1]


class Room:
    """One replica with room for one request, its router, and calls for it."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.actor = Actor()
        self.board = Board(folder, create=True)
        self.board.set_state(0, RUNNING)
        self.publish()
        self.router = Router(self.board, "app#D", loop, weakref.ref(self))

    def publish(self, **more: Any) -> None:
        entry = {"max_ongoing_requests": 1, "max_queued_requests": -1, "replicas": [("replica", "", 0)], **more}
        self.board.publish({"deployments": {"app#D": entry}})

    def table(self) -> dict[str, Any]:
        return self.board.table()

    def forget_closed(self) -> None:
        """What the router asks of a client now and then."""

    def call(self, name: str) -> DeploymentResponse:
        client: Any = self
        call = Call(self.router, client, RequestContext(name), "m", ((), {}), stream=False)
        call.start()
        return DeploymentResponse(call)


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    room = Room(tmp_path, asyncio.get_running_loop())
    monkeypatch.setattr(cloudpickle, "loads", lambda packed: room.actor)
    yield room
    room.board.close()


@pytest.fixture
def request_of_task() -> Iterator[Callable[[], RequestContext]]:
    def begin() -> RequestContext:
        request = RequestContext("outer", task=asyncio.current_task())
        current_request.set(request)
        return request

    yield begin


async def _awaits(response: DeploymentResponse) -> Any:
    return await response


async def test_what_waits_is_not_sent_when_its_waiter_is_cancelled(room: Room) -> None:
    running, waiting = (asyncio.create_task(_awaits(room.call(name))) for name in ("running", "waiting"))
    await asyncio.sleep(0)
    assert room.actor.received == ["running"]
    waiting.cancel()
    room.actor.references[0].finish()  # a slot is free before the cancelled task has had its turn
    assert room.actor.received == ["running"]
    assert await running == "done"
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not room.router.waiting


async def test_what_waits_is_not_sent_while_its_request_is_being_cancelled(
    room: Room, request_of_task: Callable[[], RequestContext]
) -> None:
    first = room.call("first")
    made = asyncio.Event()

    async def handler() -> None:
        request = request_of_task()
        room.call("not awaited")
        made.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            request.cancel_calls()
            raise

    task = asyncio.create_task(handler())
    await made.wait()
    second = room.call("second")
    task.cancel()
    room.actor.references[0].finish()
    assert room.actor.received == ["first", "second"]  # what waits behind it is not held up
    with pytest.raises(asyncio.CancelledError):
        await task
    room.actor.references[1].finish()
    assert [await first, await second] == ["done", "done"]
    assert room.actor.received == ["first", "second"]
    assert not room.router.waiting


async def test_a_timeout_within_a_request_keeps_its_other_calls(
    room: Room, request_of_task: Callable[[], RequestContext]
) -> None:
    room.call("first")
    made = asyncio.Event()

    async def handler() -> Any:
        request_of_task()
        other = room.call("other")
        made.set()
        try:
            async with asyncio.timeout(0):
                room.actor.references[0].finish()
                await asyncio.Event().wait()
        except TimeoutError:
            return await other

    task = asyncio.create_task(handler())
    await made.wait()
    while "other" not in room.actor.received:
        await asyncio.sleep(0)
    room.actor.references[-1].finish()
    assert await task == "done"


async def test_a_cancel_from_another_thread_is_seen_at_once(room: Room) -> None:
    room.call("running")
    waiting = room.call("waiting")
    await asyncio.to_thread(waiting.cancel)
    with pytest.raises(RequestCancelledError):
        await waiting
    room.actor.references[0].finish()
    assert room.actor.received == ["running"]


async def test_a_call_of_a_cancelled_handler_in_a_thread_is_not_sent(room: Room) -> None:
    request = RequestContext("outer")
    request.cancelled = True
    current_request.set(request)
    with pytest.raises(RequestCancelledError):
        await room.call("late")
    assert room.actor.received == []


async def test_what_is_picked_is_busy_before_it_knows(room: Room, tmp_path: Path) -> None:
    room.publish(is_scaled=True)
    tallies = Tallies(tmp_path)
    assert tallies.of("app#D").picked == frozenset()
    response = room.call("first")
    assert room.board.ongoing(0) == 0  # it has not come
    assert tallies.of("app#D").picked == {0}
    (spec,) = build(serve.deployment(Kept).bind(), "app", None).deployments
    replica = ReplicaHandle("app", spec, 0, room.board)
    assert [replica.view(picked).ongoing for picked in ((), {0}, {1})] == [0, 1, 0]
    room.board.set_ongoing(0, 3)
    assert replica.view({0}).ongoing == 3
    room.actor.references[0].finish()
    assert await response == "done"
    assert tallies.of("app#D").picked == frozenset()


class Kept:
    """A class to deploy."""
