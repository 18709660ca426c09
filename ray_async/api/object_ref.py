"""Object references, as the compiled core defines them."""

from __future__ import annotations

from ray_async._core.object_ref import ObjectRef
from ray_async.runtime.awaiting.generators import DynamicObjectRefGenerator, ObjectRefGenerator

__all__ = ("DynamicObjectRefGenerator", "ObjectID", "ObjectRef", "ObjectRefGenerator")

ObjectID = ObjectRef
