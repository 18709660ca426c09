"""Rows over HTTP, under the paths and in the shape that Ray's clients know; and the stacks of a process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from ray_async.dashboard.node_questions import KINDS, NodeQuestions
from ray_async.suggestion import did_you_mean
from ray_async.util.state import RayStateApiException, ServerUnavailable
from ray_async.util.state.listing import MAX_LIMIT

__all__ = ("Tables",)

_MOST_LISTENERS = 64


class Tables:
    """Answers questions about rows.

    Args:
        questions: asks the node.
    """

    def __init__(self, questions: NodeQuestions) -> None:
        self._questions = questions
        self._listeners = 0

    def routes(self) -> list[web.RouteDef]:
        """Where it is asked."""
        return [
            web.get("/api/overview", self._overview),
            web.get("/api/events", self._events),
            web.get("/api/v0/{kind}/summarize", self._summary),
            web.get("/api/v0/{kind}", self._list),
        ]

    async def _overview(self, request: web.Request) -> web.Response:
        return web.json_response(await self._questions.overview())

    async def _list(self, request: web.Request) -> web.Response:
        kind = _kind(request)
        limit, offset = _number(request, "limit", 100), _number(request, "offset", 0)
        try:
            if not 0 < limit < MAX_LIMIT:
                raise RayStateApiException(f"limit must be between 1 and {MAX_LIMIT - 1}, but is {limit}")
            # One row more than is wanted: it shows whether there is another page.
            rows = await self._questions.rows(kind, _filters(request), limit + 1, offset)
        except RayStateApiException as error:
            raise _refusal(error) from error
        return _answer({"result": rows[:limit], "more": len(rows) > limit, "key": KINDS[kind][1]})

    async def _summary(self, request: web.Request) -> web.Response:
        kind = _kind(request)
        if kind not in ("tasks", "actors", "objects"):
            raise web.HTTPNotFound(text=f"There is no summary of {kind}, but of tasks, actors and objects.\n")
        try:
            return _answer({"result": await self._questions.summary(kind)})
        except RayStateApiException as error:
            raise _refusal(error) from error

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send the overview again and again, for as long as the browser listens."""
        if self._listeners >= _MOST_LISTENERS:
            raise web.HTTPServiceUnavailable(text="Too many pages are open.\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self._listeners += 1
        try:
            while True:
                await response.write(f"data: {json.dumps(await self._questions.overview())}\n\n".encode())
                await asyncio.sleep(self._questions.pause_s)
        except (ConnectionResetError, ServerUnavailable):  # the browser has gone, or the node has
            return response
        finally:
            self._listeners -= 1


def _kind(request: web.Request) -> str:
    kind = request.match_info["kind"].replace("-", "_")
    if kind not in KINDS:
        raise web.HTTPNotFound(
            text=f"There are no {kind!r} to list, but {', '.join(KINDS)}.{did_you_mean(kind, KINDS)}\n"
        )
    return kind


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise web.HTTPBadRequest(text=f"{name} must be a whole number that is not negative, but is {text[:40]!r}.\n")
    return int(text)


def _filters(request: web.Request) -> list[tuple[str, str, str]]:
    keys, predicates, values = (
        request.query.getall(name, []) for name in ("filter_keys", "filter_predicates", "filter_values")
    )
    if not len(keys) == len(predicates) == len(values):
        raise web.HTTPBadRequest(text="filter_keys, filter_predicates and filter_values must be as many.\n")
    return list(zip(keys, predicates, values, strict=True))


def _refusal(error: RayStateApiException) -> web.HTTPException:
    kind = web.HTTPServiceUnavailable if isinstance(error, ServerUnavailable) else web.HTTPBadRequest
    return kind(text=f"{error}\n")


def _answer(data: dict[str, Any]) -> web.Response:
    return web.json_response(
        {"result": True, "msg": "", "data": data}, dumps=lambda value: json.dumps(value, default=str)
    )
