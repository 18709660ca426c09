"""The controller's side of the REST API."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ray_async.serve.rest.options import RESTOptions

if TYPE_CHECKING:
    from ray_async.serve.rest.instance import Controlling
    from ray_async.serve.rest.server import RestServer

__all__ = ("RestStarter",)

logger = logging.getLogger("ray_async.serve")
_PAUSE = 0.1  # seconds between two tries to get an earlier controller's port


class RestStarter:
    """Starts the server of the REST API, and knows where it listens.

    Args:
        folder: Serve's folder.
        controller: What the API shows and changes.
    """

    def __init__(self, folder: Path, controller: Controlling) -> None:
        self.options: RESTOptions | None = None  # with the port that the server has got
        self._folder = folder
        self._controller = controller
        self._server: RestServer | None = None

    @property
    def address(self) -> str:
        """Where it listens; empty where it does not."""
        return "" if self._server is None else self._server.address

    @property
    def token_file(self) -> str:
        """The file with the token that was made; empty where none was."""
        return "" if self._server is None or self._server.token_file is None else str(self._server.token_file)

    async def start(self, options: RESTOptions) -> None:
        """Start the server, if there is none yet.

        Raises:
            OSError: The port is taken.
        """
        if self.options is None:
            await self._start(options, afresh=True)

    async def _start(self, options: RESTOptions, afresh: bool) -> None:
        # What reads configs is no matter of those who do not ask for the API.
        from ray_async.serve.rest.instance import ControllerInstance
        from ray_async.serve.rest.server import RestServer

        server = RestServer(ControllerInstance(self._controller), self._folder, options, afresh)
        self._server = server
        self.options = replace(options, port=int(server.address.rpartition(":")[2]))
        await server.start()

    async def recover(self, options: RESTOptions) -> None:
        """Serve the API again where an earlier controller has, with the same token."""
        self.options = options
        said = False
        while self.options is not None:
            try:
                await self._start(options, afresh=False)
            except OSError as error:  # somebody else has the port meanwhile
                if not said:
                    logger.warning("Serve's REST API cannot be served again yet: %s", error)
                said = True
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def stop(self) -> None:
        """End the server, if there is one."""
        self.options = None
        if self._server is not None:
            await self._server.close()
            self._server = None
