"""Contexts: of the replica that this process is, and of the request that runs."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from ray_async.serve.exceptions import RayServeException
from ray_async.serve.frozen_dataclass import dataclass

if TYPE_CHECKING:
    from ray_async.serve.gang import GangContext
    from ray_async.serve.multiplexing.holdings import Holdings
    from ray_async.serve.telemetry.counts import Counts

__all__ = (
    "Replica",
    "ReplicaContext",
    "RequestContext",
    "batch_requests",
    "current_replica",
    "current_request",
    "get_multiplexed_model_id",
    "get_replica_context",
    "local_context",
    "new_request_id",
)


@dataclass(frozen=True)
class ReplicaContext:
    """What replica this process is.

    Args:
        app_name: Its application's name.
        deployment: Its deployment's name.
        replica_id: Its own, unique id.
        servable_object: The user's object, or function.
        code_version: The version of its deployment: another one where code, arguments or actors are others.
        gang_context: What it knows of its gang; None where it is in none.
    """

    app_name: str
    deployment: str
    replica_id: str
    servable_object: Any
    code_version: str = ""
    gang_context: GangContext | None = None

    @property
    def replica_tag(self) -> str:
        """The replica's id, under its older name."""
        return self.replica_id


class Cancellable(Protocol):
    """A call that a request has made."""

    def cancel(self) -> None:
        """Cancel it, from any thread."""
        ...


class RequestContext:
    """What request runs; each call that is handed on has one of its own.

    Args:
        request_id: The request's id, the same down all calls.
        route: The route prefix by which it came; empty for calls by handle.
        app_name: The application.
        multiplexed_model_id: The model that is asked for, or an empty string.
        task: What runs it, if that is an asyncio task.

    Attributes:
        calls: Calls by handle that it has made and that are not done: they are cancelled with it.
        cancelled: Whether its handler must start nothing more, though it has not noticed yet: one that is in a thread.
        idempotent: Whether running it twice is no harm; so do its calls.
        deadline: The time of `time.monotonic` at which who has its connection ends it; None: it may take any time.
    """

    # Set in the object where they are something else: one is made for each request.
    calls: set[Cancellable] | None = None
    cancelled = False
    idempotent = False
    deadline: float | None = None

    def __init__(
        self,
        request_id: str,
        route: str = "",
        app_name: str = "",
        multiplexed_model_id: str = "",
        task: asyncio.Task[Any] | None = None,
    ) -> None:
        self.request_id = request_id
        self.route = route
        self.app_name = app_name
        self.multiplexed_model_id = multiplexed_model_id
        self.task = task

    @property
    def cancels(self) -> int:
        """How many cancels have been asked of the task that runs it; they may not have reached the handler yet."""
        return 0 if self.task is None else self.task.cancelling()

    def begun(self, call: Cancellable) -> None:
        """Note a call that it has made."""
        if self.calls is None:
            self.calls = set()
        self.calls.add(call)

    def ended(self, call: Cancellable) -> None:
        """Note the end of a call that it has made."""
        if self.calls is not None:
            self.calls.discard(call)

    def cancel_calls(self) -> None:
        """Cancel what the request has called."""
        for call in list(self.calls or ()):
            call.cancel()


class Replica:
    """The replica that this process is, if it is one: a process has at most one."""

    context: ReplicaContext | None = None
    loop: Any = None
    holdings: Holdings | None = None
    counts: Counts | None = None


current_replica = Replica()
current_request: ContextVar[RequestContext | None] = ContextVar("serve_request", default=None)
# In a batch function: the requests whose items it has.
batch_requests: ContextVar[list[RequestContext] | None] = ContextVar("serve_batch_requests", default=None)
# That of a deployment of local testing mode, of which a process may have several.
local_context: ContextVar[ReplicaContext | None] = ContextVar("serve_local_replica", default=None)


_BYTES = tuple(f"{number:02x}" for number in range(256))


def _numbered() -> Callable[[], str]:
    """Gives 2 ** 48 ids; made of C's iterators, which threads may share."""
    drawn = os.urandom(10).hex()
    prefix = f"{drawn[:8]}-{drawn[8:12]}-{drawn[12:16]}-{drawn[16:20]}-"
    return map("".join, itertools.product((prefix,), *[_BYTES] * 6)).__next__


_next_id = _numbered()


def _begin_anew() -> None:
    """Draw other ids: a forked process must not go on with its parent's."""
    global _next_id
    _next_id = _numbered()


os.register_at_fork(after_in_child=_begin_anew)


def new_request_id() -> str:
    """An id that no other request has."""
    return _next_id()


def get_replica_context() -> ReplicaContext:
    """Give the context of the replica that this process is.

    Raises:
        RayServeException: The process is no replica.

    Example:
        >>> serve.get_replica_context().deployment
        'Model'
    """
    context = local_context.get() or current_replica.context
    if context is None:
        raise RayServeException("get_replica_context() may only be called from within a replica of a deployment.")
    return context


def _get_serve_request_context() -> RequestContext:
    """The context of the running request; an empty one outside of requests. Programs written for Ray read it."""
    return current_request.get() or RequestContext("")


def _get_serve_batch_request_context() -> list[RequestContext]:
    """The contexts of the requests whose items are in the running batch; none outside of batch functions."""
    return batch_requests.get() or []


def get_multiplexed_model_id() -> str:
    """Give the id of the model that the running request asks for; an empty string if it asks for none.

    Example:
        >>> model = await self.get_model(serve.get_multiplexed_model_id())
    """
    request = current_request.get()
    return request.multiplexed_model_id if request is not None else ""
