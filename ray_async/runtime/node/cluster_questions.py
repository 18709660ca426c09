"""Questions that a node has for the rest of its cluster: the agent asks, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ray_async.runtime.node.requests.messages import Message

__all__ = ("ClusterQuestions",)

Take = Callable[[Message], Message]


class ClusterQuestions:
    """What the agent has been asked and has not answered.

    Args:
        notify: sends the agent a message.
    """

    def __init__(self, notify: Callable[..., None]) -> None:
        self._notify = notify
        self._open: dict[int, tuple[asyncio.Future[Message], Take]] = {}
        self._next = 0

    async def pose(self, what: str, take: Take = lambda found: found, **fields: Any) -> Message:
        """Have the agent find something out.

        Args:
            what: the kind of question.
            take: makes the result of what was found, at once: before the agent goes on.
            fields: the rest.

        Raises:
            ConnectionError: the agent, or who would know, is gone.
            RuntimeError: it was refused.
        """
        self._next += 1
        number, waiting = self._next, asyncio.get_running_loop().create_future()
        self._open[number] = waiting, take
        try:
            self._notify("question", number=number, what=what, **fields)
            found: Message = await waiting
        finally:
            del self._open[number]
        return found

    def answered(self, message: Message) -> Message:
        """The agent has an answer; what that is made of is kept there until this returns."""
        waiting, take = self._open.get(int(message["number"]), (None, None))
        if waiting is None or take is None or waiting.done():
            return {}
        try:
            if message.get("gone"):
                waiting.set_exception(ConnectionError(str(message["gone"])))
            elif message.get("refused"):
                waiting.set_exception(RuntimeError(str(message["refused"])))
            else:
                waiting.set_result(take(dict(message["found"])))
        except Exception as error:
            waiting.set_exception(error)
        return {}

    def agent_lost(self) -> None:
        """Nobody will answer any more."""
        for waiting, _ in self._open.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the agent is gone: this node is cut off from its cluster"))
