"""Files of logs below a session's folder: which there are, and what is in them. Nothing else can be read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from ray_async.dashboard.node_questions import NodeQuestions

__all__ = ("Logs",)

_SUFFIXES = (".log", ".out", ".err")
_MOST_FILES = 2_000
_MOST_BYTES = 1 << 20  # of one answer


class Part(NamedTuple):
    """What is in a file from one place to another.

    Attributes:
        data: The bytes.
        start, end: Where they are.
        size: Of the whole file.
    """

    data: bytes
    start: int
    end: int
    size: int


class Logs:
    """Answers questions about logs.

    Args:
        folder: the session's.
        questions: whose threads read files.
    """

    def __init__(self, folder: str, questions: NodeQuestions) -> None:
        self._folder = Path(folder)
        self._questions = questions

    def routes(self) -> list[web.RouteDef]:
        """Where it is asked."""
        return [web.get("/api/v0/logs", self._list), web.get("/api/v0/logs/file", self._file)]

    def files(self) -> list[dict[str, Any]]:
        """The files, the one written last first: their names, sizes, and times of the last change."""
        found: list[dict[str, Any]] = []
        for directory, _, names in os.walk(self._folder):
            for name in names:
                if name.endswith(_SUFFIXES):
                    path = Path(directory, name)
                    try:
                        status = path.lstat()
                    except FileNotFoundError:  # it has gone meanwhile
                        continue
                    if stat.S_ISREG(status.st_mode):
                        relative = path.relative_to(self._folder).as_posix()
                        found.append({"name": relative, "size": status.st_size, "time_ms": int(status.st_mtime * 1000)})
        return sorted(found, key=lambda row: row["time_ms"], reverse=True)[:_MOST_FILES]

    def read(self, name: str, offset: int | None, size: int) -> Part:
        """Read from a file.

        Args:
            name: as in `files`.
            offset: the first byte; None for the last ones.
            size: most bytes.

        Raises:
            FileNotFoundError: there is no such log.
        """
        path = self._folder / name
        # Only what is listed: a path that leads out of the folder, also by a link, is none of it.
        if not name.endswith(_SUFFIXES) or ".." in path.parts or "\0" in name or Path(name).is_absolute():
            raise FileNotFoundError(name)
        if path.resolve() != self._folder.resolve() / name or not path.is_file():
            raise FileNotFoundError(name)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            end = os.fstat(file.fileno()).st_size
            start = max(0, end - size) if offset is None else min(offset, end)
            file.seek(start)
            data = file.read(size)
        return Part(data, start, start + len(data), end)

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"files": await self._questions.in_thread(self.files)})

    async def _file(self, request: web.Request) -> web.Response:
        name = request.query.get("filename", "")
        offset = request.query.get("offset", "")
        if offset and not (offset.isascii() and offset.isdigit() and len(offset) < 19):
            raise web.HTTPBadRequest(text=f"offset must be a whole number, but is {offset[:40]!r}.\n")
        try:
            part = await self._questions.in_thread(
                lambda: self.read(name, int(offset) if offset else None, _MOST_BYTES)
            )
        except OSError as error:
            raise web.HTTPNotFound(text="There is no such log.\n") from error
        # Plain text, whatever is in it: no browser takes it for a page.
        headers = {"X-Log-Start": str(part.start), "X-Log-End": str(part.end), "X-Log-Size": str(part.size)}
        return web.Response(body=part.data, headers=headers, content_type="text/plain", charset="utf-8")
