"""The handover of a request: to another replica, or to the one that is here once it has a free slot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ray_async.serve.context import RequestContext
from ray_async.serve.handle.client import Client
from ray_async.serve.handle.response import Call
from ray_async.serve.ingress.body import RestOfBody
from ray_async.serve.replica.slots import Slots
from ray_async.serve.request_router.pending_request import PendingRequest

if TYPE_CHECKING:
    from ray_async.serve.handle.router import Candidate, Router

__all__ = ("DEADLINE", "HERE", "Handover")

HERE = object()
DEADLINE = "serve.deadline"  # in the scope of a request on its way, if it has one: see `RequestContext`
_OWN = frozenset(("app", "state", "extensions", "asgi"))  # of a scope: what stays in its process


class Handover(Call):
    """A request that a router takes to a free replica. Its future gives lists of messages of the response, or `HERE`.

    Args:
        router: The router of the deployment.
        client: The process's client.
        request: The request's context.
        scope: Its ASGI scope.
        body: Its body, or the beginning of it, and what is left.
        slots: The slots of the replica that is here, if it is one of the deployment: a slot is taken for the request
            when the router picks that replica.
    """

    __slots__ = ("is_here", "slots")

    def __init__(
        self,
        router: Router,
        client: Client,
        request: RequestContext,
        scope: dict[str, Any],
        body: tuple[bytes, RestOfBody | None],
        slots: Slots | None,
    ) -> None:
        super().__init__(router, client, request, "http", (scope, *body), {}, stream=True, actor_method="http")
        self.is_here = False  # whether a slot of the replica that is here was taken
        self.slots = slots

    def pending(self) -> PendingRequest:
        """The request as a router of the user's sees it: with its headers, and without its body."""
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in self._args[0]["headers"]}
        return PendingRequest((), {}, self._metadata(headers))

    def send(self, candidate: Candidate) -> None:
        """Send the request to the replica that was picked, or let it run here."""
        slots = self.slots
        # A slot that is not free although the board says so: the limit is being changed. The replica refuses, then.
        if slots is None or candidate.slot != slots.place or not slots.free:
            scope, *body = self._args
            sent = {key: value for key, value in scope.items() if key not in _OWN}
            if self.request.deadline is not None:
                sent[DEADLINE] = self.request.deadline
            self._args = sent, *body
            super().send(candidate)
        else:
            slots.take()
            self.is_here = True
            self._finish(HERE, None)

    def give_back(self) -> None:
        """Give the slot back that was taken here, if one was."""
        if self.is_here and self.slots is not None:
            self.slots.release()

    def may_be_sent_again(self, error: BaseException) -> bool:
        """Whether another replica may run the request: not, if the one that has died may have read on in its body."""
        again = super().may_be_sent_again(error)
        return again and (self._args[2] is None or not getattr(error, "call_began", True))

    def _taken(self, first: Any, values: Any) -> AsyncIterator[list[dict[str, Any]]]:
        return _all(first, values)


async def _all(
    first: list[dict[str, Any]], values: AsyncIterator[list[dict[str, Any]]]
) -> AsyncIterator[list[dict[str, Any]]]:
    yield first
    async for messages in values:
        yield messages
