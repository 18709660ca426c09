"""Options of the REST API."""

from __future__ import annotations

import os
from dataclasses import field

from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("RESTOptions",)


@dataclass(frozen=True)
class RESTOptions:
    """Where the REST API is served, to whom, and where it finds applications.

    Args:
        port: The port, on the loopback interface; 0: any free one.
        token: What clients must send as ``Authorization: Bearer TOKEN``; None: one is made, and put into the file
            ``rest-token`` in Serve's folder, which its owner alone can read.
        path: Folders where modules are found, before the usual ones.

    Raises:
        ValueError: A port that is none, or a token that is too short or not printable.
    """

    port: int = 8265
    token: str | None = field(default=None, repr=False)
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ValueError(f"port must be from 0 to 65535, but is {self.port!r}")
        token = self.token
        if token is not None and (len(token) < 16 or not (token.isascii() and token.isprintable()) or " " in token):
            raise ValueError("the token must have 16 characters or more, all of ASCII, and no spaces")
        object.__setattr__(self, "path", tuple(os.path.abspath(entry) for entry in self.path))
