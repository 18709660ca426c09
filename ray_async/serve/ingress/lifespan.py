"""The lifespan of a user's ASGI application."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ("Lifespan",)


class Lifespan:
    """The lifespan protocol of a user's ASGI application.

    Args:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    async def startup(self) -> None:
        """Start the application; one that has no lifespan just goes on.

        Raises:
            RuntimeError: The application could not start.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._tell("startup")

    async def shutdown(self) -> None:
        """Let the application clean up."""
        if self._task is not None and not self._task.done():
            await self._tell("shutdown")
            await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # the application's own; many raise where they know no lifespan
            self._error = error
        finally:
            await self._from_app.put(None)

    async def _tell(self, what: str) -> None:
        await self._to_app.put({"type": f"lifespan.{what}"})
        message = await self._from_app.get()
        if message is not None and message["type"].endswith("failed"):
            raise RuntimeError(f"the application's {what} failed: {message.get('message', '')}") from self._error
