"""Operations for programs that manage memory themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray_async.api.object_ref import ObjectRef
from ray_async.engine.current import get_session
from ray_async.ignored_option import note_ignored

__all__ = ("free",)


def free(object_refs: ObjectRef[Any] | Sequence[ObjectRef[Any]], local_only: bool = False) -> None:
    """Free objects although there are references to them; getting one later raises `ObjectFreedError`.

    Args:
        object_refs: A reference, or a list of references.
        local_only: Noted, and without effect: all nodes share one store, so there is one copy.

    Raises:
        TypeError: Not references.
    """
    refs = [object_refs] if isinstance(object_refs, ObjectRef) else object_refs
    if not isinstance(refs, list):
        raise TypeError(f"free() expects a list of ObjectRef, got {type(object_refs)}")
    for ref in refs:
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"Attempting to call `free` on the value {ref!r}, which is not an ObjectRef.")
    if local_only:
        note_ignored("free(local_only=True)", "all nodes share one store, so an object has one copy, which is freed")
    if refs:
        get_session().free(refs)
