"""Object references, as the compiled core defines them."""

from __future__ import annotations

from ray_async._core import ObjectRef, ObjectRefGenerator

__all__ = ("ObjectID", "ObjectRef", "ObjectRefGenerator")

ObjectID = ObjectRef
