"""Types for annotations."""

from __future__ import annotations

from ray_async.api.object_ref import ObjectRef

__all__ = ("ObjectRef",)
