"""Other ranks: what workers of a trainer beside the first one get in place of a library's run."""

from __future__ import annotations

from typing import Any

from ray_async.air.session import current

__all__ = ("NoRun", "is_other_rank")


class NoRun:
    """Takes every call and attribute, and does nothing."""

    def __getattr__(self, name: str) -> NoRun:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> NoRun:
        return self

    def __enter__(self) -> NoRun:
        return self

    def __exit__(self, *args: object) -> None:
        """Nothing was begun."""


def is_other_rank() -> bool:
    """Tell whether this process is a trainer's worker, and not the first one."""
    return getattr(getattr(current(), "place", None), "world_rank", 0) > 0
