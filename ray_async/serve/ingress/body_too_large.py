"""The error of bodies that are larger than they may be."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException

__all__ = ("BodyTooLarge",)


class BodyTooLarge(HTTPException):
    """A body that is larger than `max_body_bytes`.

    Args:
        limit: The limit.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body is larger than {limit} bytes.")
        self.limit = limit

    def __reduce__(self) -> Any:
        return BodyTooLarge, (self.limit,)
