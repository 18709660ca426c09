"""Jobs over HTTP, under the paths that Ray's clients know."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from aiohttp import web

from ray_async.dashboard.jobs.description import SubmissionError
from ray_async.dashboard.jobs.manager import JobManager, NoSuchJobError
from ray_async.dashboard.node_questions import NodeQuestions

__all__ = ("JobRoutes",)

_MOST_BYTES = 4 << 20  # of a log, in one answer


class JobRoutes:
    """Answers requests about jobs.

    Args:
        manager: looks after them.
        questions: whose threads read files.
    """

    def __init__(self, manager: JobManager, questions: NodeQuestions) -> None:
        self._manager = manager
        self._questions = questions

    def routes(self) -> list[web.RouteDef]:
        """Where it is asked."""
        return [
            web.post("/api/jobs/", self._submit),
            web.get("/api/jobs/", self._list),
            web.get("/api/jobs/{id}", self._get),
            web.delete("/api/jobs/{id}", self._delete),
            web.get("/api/jobs/{id}/logs", self._logs),
            web.post("/api/jobs/{id}/stop", self._stop),
        ]

    async def _submit(self, request: web.Request) -> web.Response:
        # Only this type: a page of another site cannot send it without asking first, and is refused then.
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="a job is sent as application/json\n")
        try:
            name = await self._manager.submit(await request.json())
        except (SubmissionError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        except FileExistsError as error:
            raise web.HTTPConflict(text="there is a job of that id already: choose another\n") from error
        return web.json_response({"submission_id": name, "job_id": name})

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response([dataclasses.asdict(one) for one in await self._manager.list()])

    async def _get(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(dataclasses.asdict(await self._manager.get(_id(request))))
        except NoSuchJobError as error:
            raise _unknown(request) from error

    async def _stop(self, request: web.Request) -> web.Response:
        try:
            return web.json_response({"stopped": await self._manager.stop(_id(request))})
        except NoSuchJobError as error:
            raise _unknown(request) from error

    async def _delete(self, request: web.Request) -> web.Response:
        try:
            await self._manager.delete(_id(request))
        except NoSuchJobError as error:
            raise _unknown(request) from error
        except RuntimeError as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        return web.json_response({"deleted": True})

    async def _logs(self, request: web.Request) -> web.Response:
        """The output from an offset on, as much as goes into an answer; ``end`` is where the next one begins."""
        text = request.query.get("offset", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise web.HTTPBadRequest(text="offset must be a whole number that is not negative\n")
        try:
            path = self._manager.log(_id(request))
        except NoSuchJobError as error:
            raise _unknown(request) from error
        data = await self._questions.in_thread(lambda: _read(path, int(text)))
        found: dict[str, Any] = {"logs": data.decode(errors="replace"), "end": int(text) + len(data)}
        return web.json_response(found)


def _read(path: Any, offset: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        data: bytes = file.read(_MOST_BYTES)
    # A letter of several bytes may be written in two parts: its first ones wait for the rest.
    return data[: len(data) - _begun(data)]


def _begun(data: bytes) -> int:
    """How many bytes at the end are the beginning of a letter whose rest has not come."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte >= 0xC0:
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < size else 0
        if byte < 0x80:
            return 0
    return 0


def _id(request: web.Request) -> str:
    return request.match_info["id"]


def _unknown(request: web.Request) -> web.HTTPNotFound:
    return web.HTTPNotFound(text=f"there is no job {_id(request)[:200]!r}\n")
