"""Call options: the rarely set options of a call, which travel beside its arguments as a plain dict.

The node reads them without unpickling anything, so what is not plain is a reference to an object in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from ray_async._core.object_ref import ObjectRef

__all__ = ("CallOptions",)


class CallOptions(TypedDict, total=False):
    """What a call has that most calls do not have.

    Args:
        name: Name shown in listings and errors.
        retry_exceptions: Reference to the tuple of exceptions after which the call is run again.
        dynamic: Whether the one result is the list of what a generator yields.
        objects_per_yield: Objects that one ``yield`` makes.
        concurrency_group: Group in which a method runs.
        enable_task_events: Whether listings and timelines show the call.
        labels: Pairs of the call's own labels.
        context: Context variables of the caller by key, or a reference to them.
    """

    name: str
    retry_exceptions: ObjectRef[Any]
    dynamic: bool
    objects_per_yield: int
    concurrency_group: str
    enable_task_events: bool
    labels: tuple[tuple[str, str], ...]
    context: dict[str, object] | ObjectRef[Any]
