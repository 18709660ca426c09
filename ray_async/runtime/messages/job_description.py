"""Job descriptions: what workers must know of a driver's job."""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = ("JobDescription",)


class JobDescription(TypedDict):
    """A job.

    Args:
        id: Its number.
        namespace: Where its actors and groups have their names.
        sys_path: The driver's module search path.
        cwd: The driver's directory; "" where it was deleted.
        default_actor_lifetime: "detached" or "non_detached".
        logging: How the workers log; empty for as usual.
        imports: Modules that workers import first.
    """

    id: int
    namespace: str
    sys_path: list[str]
    cwd: str
    default_actor_lifetime: str | None
    logging: dict[str, Any]
    imports: list[str]
