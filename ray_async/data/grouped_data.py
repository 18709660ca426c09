"""Ray's import path of grouped data."""

from __future__ import annotations

from ray_async.data.grouped import GroupedData

__all__ = ("GroupedData",)
