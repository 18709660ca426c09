"""A plain deployment's request that nobody has looked at: it becomes Starlette's with the first look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ("UnopenedRequest",)


class UnopenedRequest(Mapping[str, Any]):
    """A request before its handler looks at it, and before Starlette is imported for that.

    Whatever is asked of the object, its class too, makes it a `PlainRequest`, and is asked of that. Methods that the
    interpreter looks for in the class itself stand here, those that Starlette's request has. The base is that of
    Starlette's request: an object's class changes only to one of the same layout.

    Args:
        scope: The ASGI scope.
        receive: Gives the parts of the body.
    """

    def __init__(self, scope: Any, receive: Any) -> None:
        self.scope = scope
        self._receive = receive

    def __getattribute__(self, name: str) -> Any:
        _open(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("scope", "_receive"):
            object.__setattr__(self, name, value)
        else:
            setattr(_open(self), name, value)

    def __getitem__(self, key: str) -> Any:
        return _open(self)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_open(self))

    def __len__(self) -> int:
        return len(_open(self))

    def __contains__(self, key: object) -> bool:
        return key in _open(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return repr(_open(self))


def _open(request: UnopenedRequest) -> Any:
    """The same object, as Starlette's request."""
    from ray_async.serve.ingress.plain_request import PlainRequest

    object.__setattr__(request, "__class__", PlainRequest)
    return request
