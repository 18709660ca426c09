"""`ray.remote` with a type that checkers accept, whichever library `ray` is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ("remote",)


def remote(ray: Any, **options: Any) -> Callable[[Any], Any]:
    """The decorator that makes a function or class of this library's remote."""

    def decorate(target: Any) -> Any:
        return ray.remote(**options)(target) if options else ray.remote(target)

    return decorate
