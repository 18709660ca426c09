"""The asker: lets the calls of one process and loop ask a router of the user's, and sends them where it says.

A router that fails costs no call: what it raises is logged, and the call goes where Serve's own choice sends it.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import ray_async as ray
from ray_async.serve.autoscaling_config import DeploymentID
from ray_async.serve.board import Board
from ray_async.serve.exceptions import BackPressureError
from ray_async.serve.handle.routing import pick
from ray_async.serve.request_router.base import RequestRouter
from ray_async.serve.request_router.config import RequestRouterConfig
from ray_async.serve.request_router.mixins import FIFOMixin
from ray_async.serve.request_router.pending_request import PendingRequest, ReplicaResult
from ray_async.serve.request_router.ranking import first_with_room, known_ranks
from ray_async.serve.request_router.replica import RunningReplica

if TYPE_CHECKING:
    from ray_async.serve.handle.response import Call
    from ray_async.serve.handle.router import Candidate

__all__ = ("Asker", "made")

logger = logging.getLogger("ray_async.serve")
_ANSWERS_S = 10.0  # seconds that a router may take for a choice
_WINDOW = 64
_SAYS_AGAIN_S = 10.0  # seconds between two lines about the same fault


def made(config: RequestRouterConfig, path: tuple[str, ...], deployment: DeploymentID) -> RequestRouter:
    """A router, ready to be asked.

    Raises:
        Exception: What its import, constructor or `initialize_state` raises.
    """
    router = config.load(path)(deployment_id=deployment, self_node_id=str(ray.get_runtime_context().get_node_id()))
    router.initialize_state(**config.request_router_kwargs)
    return router


@dataclass
class _Question:
    """A call that asks, or has asked in vain."""

    pending: PendingRequest
    task: asyncio.Task[None] | None = None
    tries: int = 0
    due: float = 0.0


class _Passed:
    """The result of a websocket that was passed on: known at once, since what comes on it is not seen here."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self.future.set_result(None)

    def cancel(self) -> None:
        """Leave it alone: the replica has it."""


class Asker:
    """Asks a router for the calls that wait in a queue; used on one loop alone.

    Args:
        packed: The router's configuration, as the table has it.
        deployment: The deployment.
        board: The board.
        waiting: The queue.
        too_many: Gives the error of a call that may not wait.
    """

    def __init__(
        self,
        packed: str,
        deployment: DeploymentID,
        board: Board,
        waiting: deque[Call],
        too_many: Callable[[], BackPressureError],
    ) -> None:
        self.packed = packed
        self.limit = 1
        self.queue_limit = -1
        self._deployment = deployment
        self._board = board
        self._waiting = waiting
        self._too_many = too_many
        self._replicas: dict[str, RunningReplica] = {}
        self._dead: set[str] = set()
        self._questions: dict[Call, _Question] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: dict[str, float] = {}
        self._router: RequestRouter | None = None
        self._is_fifo = False
        self._config, path = RequestRouterConfig.unpacked(packed)
        try:
            self._router = made(self._config, path, deployment)
            self._is_fifo = isinstance(self._router, FIFOMixin)
        except Exception:  # the user's
            logger.exception("The request router %s of %s cannot be made", self._config.name, deployment)

    def update(self, candidates: Mapping[str, Candidate], limit: int, queue_limit: int) -> None:
        """Take the replicas that there are, and the limits of each and of those that wait for them."""
        self.limit, self.queue_limit = limit, queue_limit
        if candidates.keys() == self._replicas.keys():
            return
        known = self._replicas
        self._replicas = {
            name: known.get(name) or RunningReplica(candidate, self._deployment, self._board, lambda: self.limit)
            for name, candidate in candidates.items()
        }
        self._dead &= self._replicas.keys()
        if self._router is not None:
            try:
                self._router.update_replicas(list(self._replicas.values()))
            except Exception as error:  # the user's
                self._complain("update_replicas", error)

    @property
    def is_full(self) -> bool:
        """Whether a call that comes now may not wait, nor ask."""
        asks_later = len(self._tasks) >= self._most or len(self._waiting) >= self._window
        return asks_later and 0 <= self.queue_limit <= self._queued()

    def choose(self, model_id: str) -> Candidate | None:
        """Serve's own choice: the replica that would get a call for a model now; None if all are full."""
        free = [(one.candidate, one.queue_len) for one in self._running() if one.queue_len < self.limit]
        return pick(free, model_id, random.random)

    async def choice(self, pending: PendingRequest) -> Candidate | None:
        """The replica that a websocket goes to, which waits for none: None where the router finds none with room."""
        chosen = await self._chosen(pending)
        if chosen is None:
            return None
        self._tell(pending, chosen, ReplicaResult(_Passed(asyncio.get_running_loop())))
        return chosen.candidate

    def hurry(self) -> None:
        """Ask again at once: a slot has become free."""
        for question in self._questions.values():
            question.due = 0.0

    def run(self) -> None:
        """Ask for the oldest calls that wait and do not ask yet."""
        now, unwanted = asyncio.get_running_loop().time(), []
        for call in islice(self._waiting, self._window):
            if len(self._tasks) >= self._most:
                break
            if call.unwanted:
                unwanted.append(call)
                continue
            question = self._questions.get(call)
            if question is None:
                question = self._questions[call] = _Question(call.pending())
            if question.task is None and question.due <= now and not call.held:
                # With a context of its own: what a router calls does not belong to a request.
                question.task = asyncio.get_running_loop().create_task(
                    self._ask(call, question), context=contextvars.Context()
                )
                self._tasks.add(question.task)
                question.task.add_done_callback(self._tasks.discard)
        for call in unwanted:
            self._waiting.remove(call)
            self.left(call)
            call.drop()

    def left(self, call: Call) -> None:
        """Ask no more for a call."""
        question = self._questions.pop(call, None)
        if question is not None and question.task is not None:
            question.task.cancel()

    def close(self) -> None:
        """Ask no more at all."""
        for call in list(self._questions):
            self.left(call)

    @property
    def _most(self) -> int:
        """How many calls ask at a time."""
        return max(8, 2 * len(self._replicas))

    @property
    def _window(self) -> int:
        """How many of the calls that wait ask at all, the oldest: a long queue costs no more than a short one."""
        return max(_WINDOW, self._most)

    def _queued(self) -> int:
        """How many calls wait and do not ask for the first time."""
        first = sum(one.task is not None and not one.tries for one in self._questions.values())
        return len(self._waiting) - first

    async def _ask(self, call: Call, question: _Question) -> None:
        chosen = None
        try:
            chosen = await self._chosen(question.pending)
        finally:
            question.task = None
        if self._questions.get(call) is not question:
            return
        if call.unwanted or call.held:
            return  # the next look drops it, or asks again
        if chosen is None:
            self._in_vain(call, question)
        else:
            self._send(self._first() if self._is_fifo else call, chosen)
        self.run()

    def _in_vain(self, call: Call, question: _Question) -> None:
        question.tries += 1
        if question.tries == 1 and 0 <= self.queue_limit < self._queued():
            self._waiting.remove(call)
            del self._questions[call]
            call.fail(self._too_many())
            return
        config = self._config
        pause = min(config.max_backoff_s, config.initial_backoff_s * config.backoff_multiplier ** (question.tries - 1))
        question.due = asyncio.get_running_loop().time() + pause

    def _first(self) -> Call:
        """The oldest call that may be sent."""
        return next(call for call in self._waiting if not call.unwanted and not call.held)

    def _send(self, call: Call, replica: RunningReplica) -> None:
        question = self._questions.pop(call, None)
        pending = call.pending() if question is None else question.pending
        if question is not None and question.task is not None:
            question.task.cancel()
        self._waiting.remove(call)
        call.send(replica.candidate)
        self._tell(pending, replica, ReplicaResult(call))

    def _tell(self, pending: PendingRequest, replica: RunningReplica, result: ReplicaResult) -> None:
        """Tell the router what has become of its choice."""
        if self._router is None:
            return
        try:
            self._router.on_request_routed(pending, replica.replica_id, result)
        except Exception as error:  # the user's
            self._complain("on_request_routed", error)

    def _running(self) -> list[RunningReplica]:
        """The replicas that take requests; the router hears of those that have died."""
        for name, replica in self._replicas.items():
            if replica.candidate.dead and name not in self._dead:
                self._dead.add(name)
                if self._router is not None:
                    try:
                        self._router.on_replica_actor_died(replica.replica_id)
                    except Exception as error:  # the user's
                        self._complain("on_replica_actor_died", error)
        return [replica for replica in self._replicas.values() if replica.is_running]

    async def _chosen(self, pending: PendingRequest) -> RunningReplica | None:
        """The replica that a call goes to; None if it has to wait."""
        running = self._running()
        if not running:
            return None
        if self._router is None:
            return self._own_choice(pending)
        try:
            async with asyncio.timeout(_ANSWERS_S):
                answer: Any = self._router.choose_replicas(list(running), pending)
                if inspect.isawaitable(answer):
                    answer = await answer
            ranks, strange = known_ranks(answer, running)
        except Exception as error:  # the user's
            self._complain("choose_replicas", error)
            return self._own_choice(pending)
        if strange:
            self._say("strange", f"choose_replicas has returned what is none of its candidates: {strange!r:.200}")
            if not any(ranks):
                return self._own_choice(pending)
        if not any(ranks) and any(replica.has_room for replica in running):
            self._say("none", "choose_replicas has returned no replica, though some have room: the call waits")
        return first_with_room(ranks, self._load, self.limit)

    def _load(self, replica: RunningReplica) -> int:
        return replica.queue_len if replica.is_running else self.limit

    def _own_choice(self, pending: PendingRequest) -> RunningReplica | None:
        chosen = self.choose(pending.metadata.multiplexed_model_id)
        return None if chosen is None else self._replicas.get(chosen.name)

    def _complain(self, method: str, error: Exception) -> None:
        self._say(method, f"{method} failed: {type(error).__name__}: {error}", error)

    def _say(self, fault: str, text: str, error: Exception | None = None) -> None:
        """Log a fault of the router's, unless the same was said a moment ago."""
        now = time.monotonic()
        if now - self._said.get(fault, -_SAYS_AGAIN_S) < _SAYS_AGAIN_S:
            return
        self._said[fault] = now
        logger.error("Request router %s of %s: %s", self._config.name, self._deployment, text, exc_info=error)
