"""Python stacks of a worker over HTTP, as it writes them itself."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ray_async.dashboard.node_questions import NodeQuestions
from ray_async.machine.stack_dump import read_stacks

__all__ = ("Stacks",)


class Stacks:
    """Answers questions about stacks.

    Args:
        session_dir: the session's folder.
        questions: asks the node.
    """

    def __init__(self, session_dir: str, questions: NodeQuestions) -> None:
        self._folder = session_dir
        self._questions = questions
        self._turn = asyncio.Lock()  # all processes write into one file

    def routes(self) -> list[web.RouteDef]:
        """Where it is asked."""
        return [web.get("/worker/traceback", self._traceback)]

    async def _traceback(self, request: web.Request) -> web.Response:
        pid = request.query.get("pid", "")
        living = await self._questions.rows("workers", [("pid", "=", pid), ("is_alive", "=", "true")])
        if not living:  # no other process of the machine is asked
            raise web.HTTPNotFound(text="There is no such worker.\n")
        async with self._turn:
            try:
                text = await self._questions.in_thread(lambda: read_stacks(int(pid), self._folder))
            except (OSError, TimeoutError) as error:
                raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        return web.Response(text=text)
