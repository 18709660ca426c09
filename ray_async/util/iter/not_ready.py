"""The item that a local iterator gives instead of blocking."""

from __future__ import annotations

__all__ = ("NotReady",)


class NotReady(Exception):
    """There is no item yet. Operators pass it on; functions may return it, too, to be called again."""
