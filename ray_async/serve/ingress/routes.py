"""Routes: from paths to applications, by the longest prefix."""

from __future__ import annotations

import json
from typing import Any

from ray_async.serve.handle.client import Client

__all__ = ("RouteTable", "longest_match")

_TEXT = b"text/plain; charset=utf-8"

Route = tuple[str, tuple[str, str]]  # prefix; application and deployment


class RouteTable:
    """The routes of all applications, as the table has them.

    Args:
        client: The client, which reads the table.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._version = -1
        self._table: dict[str, Any] = {}
        self._routes: list[Route] = []

    def _refresh(self) -> None:
        self._version = (
            self._client.board.version
        )  # an older one than that of the table, at worst: then it is looked at once more
        table = self._client.table()
        if table is not self._table:
            self._table = table
            found = [
                (app["prefix"], (name, app["ingress"]))
                for name, app in table["applications"].items()
                if app["prefix"] is not None
            ]
            self._routes = sorted(found, key=lambda route: -len(route[0]))

    def match(self, path: str) -> Route | None:
        """The route of a path, or None."""
        if self._client.board.version != self._version:
            self._refresh()
        return longest_match(self._routes, path)

    def built_in(self, path: str) -> tuple[int, bytes, bytes]:
        """The status, body and content type of Serve's own pages."""
        self._refresh()
        if path == "/-/healthz":
            if not self._routes:  # whoever balances load over machines sends nothing here yet
                return 503, b"Route table is not populated yet.", _TEXT
            return 200, b"success", _TEXT
        return 200, json.dumps({prefix: app for prefix, (app, _) in self._routes}).encode(), b"application/json"


def longest_match(routes: list[Route], path: str) -> Route | None:
    """The first route whose prefix ends at a slash of the path, or at its end; routes come longest first."""
    for route in routes:
        prefix = route[0]
        if prefix == "/" or (path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")):
            return route
    return None
