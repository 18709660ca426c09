"""The router: picks a replica for each call, and keeps what finds none."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import deque
from typing import TYPE_CHECKING, Any

from ray_async import cloudpickle
from ray_async.serve.autoscaling_config import DeploymentID
from ray_async.serve.board import RUNNING, Board
from ray_async.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray_async.serve.handle.routing import pick
from ray_async.serve.request_router.asking import Asker
from ray_async.serve.waiting import Tally

if TYPE_CHECKING:
    from ray_async.serve.handle.response import Call
    from ray_async.serve.request_router.pending_request import PendingRequest
    from ray_async.serve.telemetry.counts import Counts

__all__ = ("Candidate", "Router")

# Seconds between two looks at the board while something waits: replicas that others hold become free unheard.
_SHORTEST, _LONGEST = 0.001, 0.02
_GROWTH = 1.05  # of each pause over the one before: pauses are a twentieth of the time that was waited


class Candidate:
    """A replica that may be picked.

    Args:
        name: Its actor's name.
        packed: Its actor's handle, as the table has it.
        slot: Its place on the board.
        board: The board.
    """

    __slots__ = ("_actor", "_board", "_models", "_packed", "_version", "dead", "name", "sent", "slot")

    def __init__(self, name: str, packed: str, slot: int, board: Board) -> None:
        self.name = name
        self.slot = slot
        self.sent = 0
        self.dead = False
        self._packed = packed
        self._actor: Any = None
        self._board = board
        self._version = -1
        self._models: set[str] = set()

    @property
    def actor(self) -> Any:
        """Its actor; nobody is asked for it."""
        if self._actor is None:
            self._actor = cloudpickle.loads(base64.b64decode(self._packed))
        return self._actor

    @property
    def models(self) -> set[str]:
        """The models that it has, and those that it was sent requests for since it has told them last."""
        version = self._board.models_version(self.slot)
        if version != self._version:
            self._version = version
            self._models = set(self._board.models(self.slot))
        return self._models


class Router:
    """Picks replicas of one deployment for the calls of one loop; used on that loop alone.

    Args:
        board: The board.
        key: The deployment's key in the table.
        loop: The loop.
        client: A weak reference to the client, which has the table.
        counts: What the process counts, if somebody wants that.
    """

    def __init__(
        self, board: Board, key: str, loop: asyncio.AbstractEventLoop, client: Any, counts: Counts | None = None
    ) -> None:
        self.loop = loop
        self.waiting: deque[Call] = deque()
        self._board = board
        self._key = key
        self._client = client
        self._version = -1
        self._replicas: dict[str, Candidate] = {}
        self._asker: Asker | None = None  # of a router of the user's
        self._candidates: dict[str, Candidate] = {}  # to pick from at once: none where the user's router is asked
        self.idempotent = False  # whether the deployment says of all its requests that running one twice is no harm
        self._limit = 1
        self._queue_limit = -1
        self._backpressure: tuple[Any, ...] = ()  # how clients are told that too many calls wait
        self._is_scaled = False
        self._cannot_start = False
        self._tally: Tally | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pause = _SHORTEST
        self._counts = None if counts is None else counts.router(*key.split("#"))

    def submit(self, call: Call) -> None:
        """Send a call to a replica, or keep it until one is free; a call that cannot be kept fails."""
        self._refresh()
        if self._counts is not None:
            self._counts.came(call.is_by_handle, call.request.route)
        candidate = None if self.waiting or call.held else self._pick(call.request.multiplexed_model_id)
        if candidate is not None:
            call.send(candidate)
            if self._is_scaled:
                self._note()  # the replica is not idle, though it does not know yet
            return
        if self._version < 0 or self._key not in self._table()["deployments"]:
            app, _, deployment = self._key.partition("#")
            call.fail(DeploymentUnavailableError(f"There is no deployment {deployment!r} in application {app!r}."))
        elif self._asker.is_full if self._asker is not None else 0 <= self._queue_limit <= len(self.waiting):
            call.fail(self.too_many())
        elif self._cannot_start:
            call.fail(self._unavailable())
        else:
            self.waiting.append(call)
            self._watch()

    def too_many(self) -> BackPressureError:
        """The error of a call that may not wait."""
        return BackPressureError(self._key.partition("#")[2], self._queue_limit, *self._backpressure)

    def resubmit(self, call: Call) -> None:
        """Keep a call that a replica has refused, before all others."""
        self.waiting.appendleft(call)
        self._watch()

    def leave(self, call: Call) -> None:
        """Drop a call that waits, if it does."""
        if call in self.waiting:
            self.waiting.remove(call)
            self._note_waiting()
        if self._asker is not None:
            self._asker.left(call)

    def forget(self) -> None:
        """Drop all that waits; the loop has ended."""
        self.waiting.clear()
        self._note_waiting()

    def _note_waiting(self) -> None:
        if self._counts is not None:
            self._counts.waits(len(self.waiting))

    def pump(self) -> None:
        """Send what waits and finds a replica now."""
        if self.waiting:
            if self._asker is not None:
                self._asker.hurry()
            self._pump()
        if self._tally is not None:
            self._note()

    def _pump(self) -> None:
        self._refresh()
        is_there = self._key in self._table()["deployments"]
        if not is_there or self._cannot_start:
            waiting, self.waiting = self.waiting, deque()
            for call in waiting:
                call.fail(self._unavailable() if is_there else self._deleted())
            self._note_waiting()
            return
        held = []
        while self.waiting and self._asker is None:
            call = self.waiting[0]
            if call.unwanted:
                self.waiting.popleft().drop()
            elif call.held:
                held.append(self.waiting.popleft())
            elif (candidate := self._pick(call.request.multiplexed_model_id)) is not None:
                self._pause = _SHORTEST
                self.waiting.popleft().send(candidate)
            else:
                break
        self.waiting.extendleft(reversed(held))
        self._note_waiting()
        if self.waiting:
            self._watch()

    def _deleted(self) -> DeploymentUnavailableError:
        return DeploymentUnavailableError(f"Deployment {self._key.partition('#')[2]!r} was deleted.")

    def _unavailable(self) -> DeploymentUnavailableError:
        name = self._key.partition("#")[2]
        return DeploymentUnavailableError(f"No replica of deployment {name!r} can start: see serve.status().")

    def _note(self) -> None:
        """Tell the controller how many calls there are."""
        if self._tally is None:
            self._tally = Tally(self._board.folder, self._key)
        picked = [candidate for candidate in self._replicas.values() if candidate.sent]
        sent = sum(candidate.sent for candidate in picked)
        self._tally.note(len(self.waiting), sent, [candidate.slot for candidate in picked])

    def _watch(self) -> None:
        self._note_waiting()
        if self._is_scaled:
            self._note()
        if self._asker is not None:
            self._asker.run()
        if self._timer is None:
            self._timer = self.loop.call_later(self._pause, self._look)
            self._pause = min(self._pause * _GROWTH, _LONGEST)

    def _look(self) -> None:
        self._timer = None
        if (client := self._client()) is not None:
            client.forget_closed()
        if self.waiting:
            self._pump()
        if self._tally is not None:
            self._note()

    def _table(self) -> dict[str, Any]:
        client = self._client()
        return client.table() if client is not None else {"deployments": {}}

    def _refresh(self) -> None:
        if self._board.version == self._version:
            return
        self._version = self._board.version
        entry = self._table()["deployments"].get(self._key)
        if entry is None:
            self._replicas = self._candidates = {}
            return
        known = self._replicas
        self._replicas = self._candidates = {
            name: known.get(name) or Candidate(name, packed, slot, self._board)
            for name, packed, slot in entry["replicas"]
        }
        self._limit = entry["max_ongoing_requests"]
        self._queue_limit = entry["max_queued_requests"]
        self.idempotent = entry.get("idempotent", False)
        self._backpressure = tuple(entry.get("backpressure", ()))
        self._is_scaled = entry.get("is_scaled", False)
        self._cannot_start = entry.get("cannot_start", False)
        self._take_asker(entry.get("request_router", ""))

    def _take_asker(self, packed: str) -> None:
        """Ask the user's router from now on, if there is one."""
        asker = self._asker
        if asker is not None and asker.packed != packed:
            asker.close()
            asker = self._asker = None
        if asker is None and packed:
            app, _, deployment = self._key.partition("#")
            target = DeploymentID(deployment, app)
            asker = self._asker = Asker(packed, target, self._board, self.waiting, self.too_many)
        if asker is not None:
            asker.update(self._replicas, self._limit, self._queue_limit)
            self._candidates = {}

    def places(self) -> list[int]:
        """The slots of the replicas on the board."""
        self._refresh()
        return [candidate.slot for candidate in self._replicas.values()]

    @property
    def asks(self) -> bool:
        """Whether a router of the user's is asked."""
        self._refresh()
        return self._asker is not None

    async def ask(self, pending: PendingRequest) -> Candidate | None:
        """The replica that the user's router finds for what waits for none; None where it finds none with room."""
        self._refresh()
        asker, model_id = self._asker, pending.metadata.multiplexed_model_id
        return self._pick(model_id) if asker is None else await asker.choice(pending)

    def choose(self, model_id: str) -> Candidate | None:
        """The replica that would get a call for a model now; None if all are full."""
        self._refresh()
        return self._pick(model_id) if self._asker is None else self._asker.choose(model_id)

    def _pick(self, model_id: str) -> Candidate | None:
        board, limit = self._board, self._limit
        free: list[tuple[Candidate, int]] = []
        for candidate in self._candidates.values():
            if candidate.dead or board.state(candidate.slot) != RUNNING:
                continue
            load = max(candidate.sent, board.ongoing(candidate.slot))
            if load < limit:
                free.append((candidate, load))
        return pick(free, model_id, random.random)
