"""Transfers: requests that wait in this process for a replica, and go to another one or run here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ray_async.serve.context import RequestContext
from ray_async.serve.deaths import DEATHS
from ray_async.serve.exceptions import DeploymentUnavailableError
from ray_async.serve.handle.client import Client
from ray_async.serve.handle.router import Router
from ray_async.serve.ingress.body import Receive, RestOfBody, bodies, read_start
from ray_async.serve.ingress.free_slots import FreeSlots
from ray_async.serve.ingress.handover import HERE, Handover
from ray_async.serve.ingress.local import Local
from ray_async.serve.ingress.reply import Reply

__all__ = ("Transfers",)

RunHere = Callable[[Local, dict[str, Any], Receive, Reply], Awaitable[None]]
Match = Callable[[str], "tuple[str, tuple[str, str]] | None"]


class Transfers:
    """Takes requests to the replicas that shall run them.

    Args:
        client: The process's client.
        match: Finds the prefix and the deployment of a path.
        run_here: Runs a request in this process; a slot was taken for it.
        local: The replica that is here; None: all requests are handed over.
        news: Serve's folder, where replicas tell each other of free slots; None: they do not.
    """

    def __init__(self, client: Client, match: Match, run_here: RunHere, local: Local | None, news: Path | None) -> None:
        self._client = client
        self._match = match
        self._run_here = run_here
        self._local = local
        self._loop = asyncio.get_running_loop()
        self._router: Router | None = None  # of the deployment of the replica that is here, once it has been full
        self._free: FreeSlots | None = None
        if local is not None and news is not None:
            self._free = FreeSlots(news, client.board, local.slots.place, self._pump)
            local.slots.on_free = self._freed

    def close(self) -> None:
        """Hear no more of free slots."""
        if self._free is not None:
            self._free.close()
            self._free = None

    async def send(
        self, scope: dict[str, Any], receive: Receive, reply: Reply, request: RequestContext, target: tuple[str, str]
    ) -> None:
        """Have a request run by the replica that is free first.

        Args:
            scope: Its ASGI scope.
            receive: Gives the parts of its body.
            reply: The way back.
            request: Its context.
            target: The application and deployment.
        """
        body, more = await read_start(receive, dict(scope["headers"]))
        with bodies.lent(receive) if more else nullcontext() as rest:
            await self._send_on(scope, _again(body, more, receive), (body, rest), reply, request, target)

    async def _send_on(
        self,
        scope: dict[str, Any],
        receive: Receive,
        body: tuple[bytes, RestOfBody | None],
        reply: Reply,
        request: RequestContext,
        target: tuple[str, str],
    ) -> None:
        sent = {key: value for key, value in scope.items() if key not in ("app", "state", "extensions", "asgi")}
        losses, taken = 0, None
        while True:
            call = self._handover(sent, body, request, target)
            call.losses = losses
            call.start()
            try:
                taken = await self._taken(call)
                if taken is not HERE:
                    reply.replica = call.replica
                    async for messages in taken:
                        for message in messages:
                            await reply.send(message)
            except DeploymentUnavailableError:
                found = self._match(scope["path"])
                if reply.started or found is None or found[1] == target:
                    raise
                target = found[1]  # another application has got the prefix while the request waited
                request.app_name = target[0]
            except DEATHS as error:
                if reply.started or not call.may_be_sent_again(error):
                    raise
                losses = call.losses
            except BaseException:
                call.cancel()
                self._note_waiting()
                call.give_back()
                raise
            else:
                break
            finally:
                del call  # likewise
        if taken is HERE and self._local is not None:
            await self._run_here(self._local, scope, receive, reply)

    def _handover(
        self,
        sent: dict[str, Any],
        body: tuple[bytes, RestOfBody | None],
        request: RequestContext,
        target: tuple[str, str],
    ) -> Handover:
        """The handover of a request, which the replica that is here may take too."""
        router = self._client.router(*target, asyncio.get_running_loop())
        local = self._local
        slots = None
        if local is not None and target == local.target:
            slots, self._router = local.slots, router
        return Handover(router, self._client, request, sent, body, slots)

    async def _taken(self, call: Handover) -> Any:
        """What the request is taken by; replicas that become free know meanwhile that it waits here."""
        try:
            if call.future.done():
                return call.future.result()
            self._note_waiting()
            try:
                return await call.future
            finally:
                self._note_waiting()
        finally:
            del call  # an error's traceback has this frame, and the call has the error

    def _pump(self) -> None:
        """Send what waits in this process, and finds a free slot."""
        if self._router is not None:
            self._router.pump()
            self._note_waiting()

    def _freed(self) -> None:
        """Give a slot that has become free to a request that waits here, or tell others."""
        local, free = self._local, self._free
        if local is None or free is None:
            return
        if self._router is None:
            self._router = self._client.router(*local.target, self._loop)
        if self._router.waiting:
            self._pump()
        if local.slots.free:
            free.tell(self._router.places())

    def _note_waiting(self) -> None:
        if self._free is not None and self._router is not None:
            self._free.wait(len(self._router.waiting))


def _again(body: bytes, more: bool, receive: Receive) -> Receive:
    """Gives what was read of a body already, then what else comes from the client."""
    pending = [{"type": "http.request", "body": body, "more_body": more}]

    async def receive_again() -> dict[str, Any]:
        return pending.pop() if pending else await receive()

    return receive_again
