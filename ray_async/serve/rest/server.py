"""The server of the REST API, on the loopback interface."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ray_async.serve.ingress.listener import bind
from ray_async.serve.ingress.server import HTTPServer
from ray_async.serve.rest.app import Instance, RestApp
from ray_async.serve.rest.options import RESTOptions

__all__ = ("RestServer",)

_HOST = "127.0.0.1"


class RestServer:
    """Serves the REST API until it is closed.

    Args:
        instance: What it shows and changes.
        folder: Serve's folder.
        options: Where, and to whom.
        afresh: Whether a token that an earlier controller has made is not known any more.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, instance: Instance, folder: Path, options: RESTOptions, afresh: bool = True) -> None:
        self._listening = bind(_HOST, options.port)
        self.address = f"{_HOST}:{self._listening.getsockname()[1]}"
        self.token_file: Path | None = None
        token = options.token
        if token is None:
            self.token_file = folder / "rest-token"
            token = _made(self.token_file) if afresh or not self.token_file.exists() else self.token_file.read_text()
        self._server = HTTPServer(RestApp(instance, token, options.path), {"keep_alive_timeout_s": 5})

    async def start(self) -> None:
        """Take connections."""
        await self._server.start(self._listening)

    async def close(self) -> None:
        """Take no more, and close what is open."""
        await self._server.stop()
        if self.token_file is not None:
            self.token_file.unlink(missing_ok=True)


def _made(path: Path) -> str:
    """A new token, in a file that its owner alone can read."""
    token = secrets.token_urlsafe(32)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return token
