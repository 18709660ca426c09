"""Routed methods: routes of a FastAPI application, or of its routers, whose endpoints are methods of a class."""

from __future__ import annotations

import copyreg
import inspect
import sys
from typing import Any

__all__ = ("bind_routes", "carry_included_routers")


def carry_included_routers() -> None:
    """Let applications with included routers be pickled: newer versions of FastAPI keep a lock with each."""
    included = getattr(sys.modules.get("fastapi.routing"), "_IncludedRouter", None)
    if included is not None:
        copyreg.pickle(included, _reduce_included)


def _reduce_included(included: Any) -> tuple[Any, ...]:
    return type(included), (included.original_router, included.include_context)


def bind_routes(router: Any, instance: Any) -> None:
    """Give routes that are methods of an object's class the object as ``self``; those of other classes are left out.

    Args:
        router: An application's router; routers that it includes follow.
        instance: The object.
    """
    bound = []
    for route in router.routes:
        endpoint = getattr(route, "endpoint", None)
        if inspect.isfunction(endpoint):
            if _is_method(endpoint, type(instance)):
                route = _bound(route, getattr(instance, endpoint.__name__))
            elif _is_of_another_class(endpoint):
                continue
        elif hasattr(route, "original_router"):
            bind_routes(route.original_router, instance)
        bound.append(route)
    router.routes[:] = bound
    if hasattr(router, "_mark_routes_changed"):  # else what was found for requests before stays
        router._mark_routes_changed()


def _is_method(function: Any, cls: type) -> bool:
    return any(
        inspect.getattr_static(base, function.__name__, None) is function or _same(base, function)
        for base in cls.__mro__
    )


def _same(base: type, function: Any) -> bool:
    # A class that came by value and an application beside it may hold two copies of one function.
    own = base.__dict__.get(function.__name__)
    return own is not None and getattr(own, "__code__", None) is function.__code__


def _is_of_another_class(function: Any) -> bool:
    holder = function.__qualname__.rpartition(".")[0]
    if not holder or holder.endswith("<locals>"):
        return False
    return next(iter(inspect.signature(function).parameters), "") == "self"


def _bound(route: Any, endpoint: Any) -> Any:
    """The route made anew with another endpoint, so that its parameters are read from that."""
    names = inspect.signature(type(route).__init__).parameters
    arguments = {name: getattr(route, name) for name in names if name != "self" and hasattr(route, name)}
    return type(route)(**arguments | {"endpoint": endpoint})
