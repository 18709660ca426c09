"""Places of connections: the processes to which websockets and idle connections are passed on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from ray_async.serve.context import new_request_id
from ray_async.serve.handle.client import Client
from ray_async.serve.handle.router import Router
from ray_async.serve.ingress.local import Local
from ray_async.serve.ingress.passing import FULL, passing_path, passing_paths
from ray_async.serve.ingress.routes import RouteTable
from ray_async.serve.names import folder
from ray_async.serve.request_router.pending_request import PendingRequest, RequestMetadata

__all__ = ("Place", "Places")

Place = Path | Coroutine[Any, Any, Any] | None


class Places:
    """Finds the process that a connection of this one is passed on to.

    Args:
        client: The process's client.
        routes: The routes.
        root: The root path.
        local: The replica that is here, if there is one.
    """

    def __init__(self, client: Client, routes: RouteTable, root: str, local: Local | None) -> None:
        self._client = client
        self._routes = routes
        self._root = root
        self._local = local

    def cut_root(self, path: str) -> str:
        """The path below the root path, if it begins with that."""
        root = self._root
        return path[len(root) :] or "/" if root and (path == root or path.startswith(f"{root}/")) else path

    def of_websocket(self, path: str, headers: Mapping[bytes, bytes]) -> Place:
        """The socket of the process to which a websocket's connection goes; None: it stays here.

        Where a router of the user's chooses, what is to be awaited for that; it may give `FULL`.
        """
        found = self._routes.match(self.cut_root(path))
        if found is None:
            return None
        prefix, target = found
        local = self._local
        router = self._client.router(*target, asyncio.get_running_loop())
        if router.asks:
            return self._asked(router, prefix, target[0], headers)
        if local is not None and target == local.target and (local.asgi is None or local.slots.free):
            return None
        chosen = router.choose("")
        return None if chosen is None else passing_path(folder(), chosen.slot)

    async def _asked(self, router: Router, prefix: str, app: str, headers: Mapping[bytes, bytes]) -> Any:
        texts = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in headers.items()}
        request_id = texts.get("x-request-id") or new_request_id()
        model_id = texts.get("serve_multiplexed_model_id", "")
        metadata = RequestMetadata(request_id, "websocket", prefix, app, model_id, True, texts)
        chosen = await router.ask(PendingRequest((), {}, metadata))
        if chosen is None:
            return FULL
        local = self._local
        is_here = local is not None and chosen.slot == local.slots.place
        return None if is_here else passing_path(folder(), chosen.slot)

    def of_idle(self) -> list[Path]:
        """The sockets of processes that can take connections over: first of a free replica of the one that is here."""
        local, place = self._local, folder()
        found = passing_paths(place)
        random.shuffle(found)
        if local is not None:
            chosen = self._client.router(*local.target, asyncio.get_running_loop()).choose("")
            if chosen is not None:
                found.sort(key=lambda path: path != passing_path(place, chosen.slot))
        return found
