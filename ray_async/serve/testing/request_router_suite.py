"""The suite that every request router passes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from ray_async.serve.autoscaling_config import DeploymentID
from ray_async.serve.board import EMPTY, RUNNING, Board
from ray_async.serve.request_router.base import RequestRouter
from ray_async.serve.request_router.pending_request import PendingRequest, ReplicaResult, RequestMetadata
from ray_async.serve.request_router.ranking import first_with_room, known_ranks
from ray_async.serve.request_router.replica import RunningReplica

__all__ = ("RequestRouterSuite",)

_DEPLOYMENT = DeploymentID("Model", "app")
_LIMIT = 3


class _Place:
    """A replica that is none."""

    def __init__(self, slot: int) -> None:
        self.name = f"SERVE_REPLICA::app#Model#{slot:08x}"
        self.slot = slot
        self.sent = 0
        self.dead = False
        self.models: set[str] = set()


class _Call:
    """A call that is none, and has its answer."""

    def __init__(self) -> None:
        self.future = asyncio.get_running_loop().create_future()
        self.future.set_result("answer")

    def cancel(self) -> None:
        """Do nothing: it is done."""


class _Scene:
    """A router among replicas that the suite plays."""

    def __init__(self, router: RequestRouter, count: int, closing: ExitStack) -> None:
        folder = closing.enter_context(tempfile.TemporaryDirectory())
        self.board = Board(Path(folder), create=True)
        closing.callback(self.board.close)
        self.router = router
        self.replicas: list[RunningReplica] = []
        self.join(count)

    def join(self, count: int) -> None:
        """Let more replicas come."""
        for slot in range(len(self.replicas), len(self.replicas) + count):
            place: Any = _Place(slot)
            self.board.set_state(slot, RUNNING)
            self.board.publish_routing(slot, {"node_id": "near" if slot % 2 else "far", "stats": {}})
            self.replicas.append(RunningReplica(place, _DEPLOYMENT, self.board, lambda: _LIMIT))
        self.router.update_replicas(list(self.replicas))

    def leave(self, count: int) -> None:
        """Let the first ones go."""
        gone, self.replicas = self.replicas[:count], self.replicas[count:]
        for replica in gone:
            self.board.set_state(replica.candidate.slot, EMPTY)
        self.router.update_replicas(list(self.replicas))

    async def choose(self, pending: PendingRequest) -> RunningReplica | None:
        """The replica that a call goes to."""
        answer = await self.router.choose_replicas(list(self.replicas), pending)
        ranks, strange = known_ranks(answer, self.replicas)
        assert not strange, f"these are no candidates: {strange}"
        return first_with_room(ranks, lambda replica: replica.queue_len, _LIMIT)


class RequestRouterSuite:
    """Tests of a request router; name it in a class that inherits this one.

    Attributes:
        router_class: The router.
        router_kwargs: Keyword arguments for its `initialize_state`.
        waits_when_idle: Whether it may give a call no replica, though all are idle.

    Example:
        >>> class TestMine(RequestRouterSuite):
        ...     router_class = Mine
        ...     router_kwargs = {"key": "x-user"}
    """

    router_class: type[RequestRouter]
    router_kwargs: ClassVar[Mapping[str, Any]] = {}
    waits_when_idle = False

    def requests(self) -> list[PendingRequest]:
        """Calls that the router is asked about; a router that needs others gives its own here."""
        http = RequestMetadata("2", "http", "/", "app", "", True, {"x-session-id": "s", "x-user": "u"})
        return [
            PendingRequest((1,), {"key": "value"}, RequestMetadata("1", "predict", app_name="app")),
            PendingRequest((), {}, http),
            PendingRequest((), {}, RequestMetadata("3", multiplexed_model_id="m", app_name="app")),
        ]

    def play(self, count: int, act: Callable[[_Scene], Coroutine[Any, Any, None]]) -> None:
        """Play a scene with a new router and so many replicas."""

        async def run() -> None:
            with ExitStack() as closing:
                router = self.router_class(deployment_id=_DEPLOYMENT, self_node_id="near")
                router.initialize_state(**self.router_kwargs)
                await act(_Scene(router, count, closing))

        asyncio.run(run())

    def test_an_idle_replica_is_found(self) -> None:
        """Each call finds a replica where all are idle, however many there are."""

        async def act(scene: _Scene) -> None:
            for request in self.requests():
                chosen = await scene.choose(request)
                assert chosen is not None or self.waits_when_idle

        for count in (1, 2, 7):
            self.play(count, act)

    def test_answers_are_ranks_of_candidates(self) -> None:
        """Answers are lists of lists of candidates, also where all replicas are full."""

        async def act(scene: _Scene) -> None:
            for replica in scene.replicas:
                scene.board.set_ongoing(replica.candidate.slot, _LIMIT)
            for request in self.requests():
                assert await scene.choose(request) is None

        self.play(3, act)

    def test_replicas_come_and_go(self) -> None:
        """Only replicas that are there are chosen."""

        async def act(scene: _Scene) -> None:
            for step, count in ((scene.leave, 2), (scene.join, 3), (scene.leave, 1)):
                for request in self.requests():
                    await scene.choose(request)
                step(count)
                for request in self.requests():
                    await scene.choose(request)
            assert set(scene.router.curr_replicas) == {replica.replica_id for replica in scene.replicas}

        self.play(3, act)

    def test_many_calls_are_routed_at_a_time(self) -> None:
        """Calls that ask at the same time get answers each."""

        async def act(scene: _Scene) -> None:
            asked = [request for request in self.requests() for _ in range(20)]
            chosen = await asyncio.gather(*(scene.choose(request) for request in asked))
            assert self.waits_when_idle or None not in chosen

        self.play(4, act)

    def test_what_happens_is_told(self) -> None:
        """The router takes what it is told of calls that were routed and replicas that have died."""

        async def act(scene: _Scene) -> None:
            for request in self.requests():
                replica = await scene.choose(request) or scene.replicas[0]
                call: Any = _Call()
                scene.router.on_request_routed(request, replica.replica_id, ReplicaResult(call))
            await asyncio.sleep(0)  # callbacks of the results
            dead = scene.replicas[0]
            dead.candidate.dead = True
            scene.router.on_replica_actor_died(dead.replica_id)
            scene.leave(1)
            for request in self.requests():
                await scene.choose(request)

        self.play(3, act)
