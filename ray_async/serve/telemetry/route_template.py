"""Templates of routes: the few paths that an application has, in place of the many that clients ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ray_async.serve.loaded import loaded

__all__ = ("UNMATCHED", "RouteTemplates")

#: Stands for every path that is no route's.
UNMATCHED = "unmatched"


class RouteTemplates:
    """Tells the template of the route that an ASGI application has found for a request.

    Args:
        asgi: The application; None for deployments without one, whose only route is their prefix.
    """

    def __init__(self, asgi: Any) -> None:
        while asgi is not None and not hasattr(asgi, "routes"):
            asgi = getattr(asgi, "app", None)  # a middleware's
        self._app = asgi

    def of(self, scope: dict[str, Any], root: str, prefix: str) -> str:
        """The template, with the application's prefix before it.

        Args:
            scope: The request's scope, as the application has left it.
            root: The scope's root path, as the application got it.
            prefix: The application's prefix.
        """
        if self._app is None:
            return prefix
        route = _found(scope)
        if route is None and "endpoint" in scope:
            route = _of_endpoint(self._app.routes, scope["endpoint"])
        if route is None:
            return UNMATCHED
        path = "/{path}" if _is_mount(route) else _path_of(route)
        mounted = scope.get("root_path", "")[len(root) :]
        if mounted:
            path = _mount(self._app.routes, mounted) + path
        return (prefix.rstrip("/") + path) or "/"


def _found(scope: dict[str, Any]) -> Any:
    # Newer versions of FastAPI match an included router's routes in a context that knows the router's prefix.
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    if context is None:
        return scope.get("route")
    return getattr(context, "starlette_route", None) or context


def _is_mount(route: Any) -> bool:
    return isinstance(route, loaded("starlette.routing", "Mount"))


def _path_of(route: Any) -> str:
    path: Any = getattr(route, "path_format", None) or getattr(route, "path", "")
    return str(path)


def _of_endpoint(routes: Iterable[Any], endpoint: Any) -> Any:
    return next((route for route in routes if getattr(route, "endpoint", None) is endpoint), None)


def _mount(routes: Iterable[Any], mounted: str) -> str:
    """The template of the mounts that a path goes through."""
    for route in routes:
        match = route.path_regex.match(f"{mounted}/") if _is_mount(route) else None
        if match is not None:
            rest = match.group("path").rstrip("/")
            below = _mount(route.routes, f"/{rest}") if rest else ""
            return f"{route.path}{below}"
    return "/{mount}"
