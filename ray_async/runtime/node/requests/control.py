"""The control connections of the node: requests in, answers out. A bad request gets an error, and ends nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ray_async.runtime.node.requests.actor_requests import ActorRequests
from ray_async.runtime.node.requests.group_requests import GroupRequests
from ray_async.runtime.node.requests.key_values import KeyValues
from ray_async.runtime.node.requests.messages import Answer, Answers, Message, Notices
from ray_async.runtime.node.requests.session_requests import SessionRequests
from ray_async.runtime.node.requests.state_requests import StateRequests
from ray_async.runtime.node.requests.timeline import Timeline
from ray_async.transport.server import Peer, Server

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node

__all__ = ("Control",)

_logger = logging.getLogger("ray_async.node")


class Control:
    """The operations that processes of the session may ask for.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._server = Server(self._received, self._lost)
        self._late: set[asyncio.Task[None]] = set()  # answers for which others are asked
        self._actors = ActorRequests(node)
        session, state, timeline = SessionRequests(node), StateRequests(node), Timeline(node.config)
        self._answers: Answers = {
            **session.answers,
            **self._actors.answers,
            **GroupRequests(node).answers,
            **state.answers,
            **KeyValues().answers(self._kept_by_head),
            **timeline.answers,
            "agent_join": self._join_cluster,
        }
        self._notices: Notices = {
            **session.notices,
            **self._actors.notices,
            **timeline.notices,
            **state.notices,
        }

    def _join_cluster(self, peer: Peer, message: Message) -> Message:
        """An agent joins this node to a cluster; what a node of one machine does not need is loaded now."""
        if self._node.cluster is None:
            from ray_async.runtime.node.cluster_link import ClusterLink

            self._node.cluster = ClusterLink(self._node)
            self._answers.update(self._node.cluster.answers)
            self._notices.update(self._node.cluster.notices)
        return self._node.cluster.join(peer, int(message["slot"]))

    def _kept_by_head(self, op: str, message: Message) -> Answer | None:
        """In a cluster, keys and values are the head's."""
        cluster = self._node.cluster
        return cluster.key_value(op, message) if cluster is not None and cluster.is_joined else None

    async def start(self) -> None:
        """Serve the driver's socket that came with the process, and listen for others."""
        config = self._node.config
        for inherited in (config.get("control_fd", -1), config.get("listen_fd", -1)):
            if inherited >= 0:
                await self._server.adopt(socket.socket(fileno=inherited))
        await self._server.listen(os.path.join(self._node.config["session_dir"], "node.sock"))

    def close(self) -> None:
        """Close all connections."""
        self._server.close()

    # -- messages ------------------------------------------------------------------------------------------------------

    def _received(self, peer: Peer, message: Message) -> None:
        op = message.get("op")
        notice = self._notices.get(op) if isinstance(op, str) else None
        answer = self._answers.get(op) if isinstance(op, str) else None
        reply: Message
        try:
            if notice is not None:
                notice(peer, message)
                return
            found = answer(peer, message) if answer is not None else {"error": f"the node knows no request {op!r}"}
            if isinstance(found, Coroutine):
                task = asyncio.ensure_future(self._reply_late(peer, message, found))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return
            reply = found
        except Exception as error:
            # The node outlives any request; the asker learns what went wrong.
            reply = _refusal(op, error)
        _reply(peer, message, reply)

    async def _reply_late(self, peer: Peer, message: Message, answer: Coroutine[Any, Any, Message]) -> None:
        try:
            reply = await answer
        except Exception as error:
            reply = _refusal(message["op"], error)
        _reply(peer, message, reply)

    def _lost(self, peer: Peer) -> None:
        self._node.listeners.discard(peer)
        self._actors.lost(peer)
        if self._node.cluster is not None:
            self._node.cluster.peer_lost(peer)


def _reply(peer: Peer, message: Message, reply: Message) -> None:
    if "id" in message:
        peer.send({**reply, "id": message["id"]})


def _refusal(op: Any, error: Exception) -> Message:
    if isinstance(error, KeyError | TypeError | ValueError | OverflowError):
        return {"error": f"{op}: {error}" if str(error) else f"{op}: a bad request", "kind": "ValueError"}
    if isinstance(error, RuntimeError):
        return {"error": str(error), "kind": "RuntimeError"}
    _logger.error("request %s failed", op, exc_info=error)
    return {"error": f"{op} failed in the node: {type(error).__name__}: {error}"}
