"""Deployments and replicas that exist, by the table: series about anything else are gone."""

from __future__ import annotations

from typing import Any

from ray_async.serve.names import deployment_key
from ray_async.serve.telemetry.folding import Series
from ray_async.serve.telemetry.route_template import UNMATCHED

__all__ = ("Existing",)


class Existing:
    """Applications, deployments and prefixes that there are.

    Args:
        table: The table of routes and replicas.
    """

    def __init__(self, table: dict[str, Any]) -> None:
        self._applications: dict[str, Any] = table["applications"]
        self._deployments: dict[str, Any] = table["deployments"]
        self._prefixes = [app["prefix"] for app in self._applications.values() if app["prefix"] is not None]

    def has(self, series: Series) -> bool:
        """Whether a series is about something that exists."""
        app, deployment, route = (series.get(label) for label in ("application", "deployment", "route"))
        if app and app not in self._applications:
            return False
        if deployment and deployment_key(app or "", deployment) not in self._deployments:
            return False
        return not route or route == UNMATCHED or any(self._is_below(route, prefix) for prefix in self._prefixes)

    @staticmethod
    def _is_below(route: str, prefix: str) -> bool:
        return prefix == "/" or route == prefix or route.startswith(f"{prefix}/")
