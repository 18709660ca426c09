"""Names of backends and of reductions."""

from __future__ import annotations

from enum import Enum

__all__ = ("Backend", "CollectiveBackend", "ReduceOp")


class CollectiveBackend:
    """Names of the backends that are there: ``Backend("gloo")`` gives the one that a spelling means."""

    NCCL = "NCCL"
    GLOO = "GLOO"

    def __new__(cls, name: str) -> str:  # type: ignore[misc]  # programs for Ray call it like this
        from ray_async.util.collective.backends import backend_name

        return backend_name(name)


#: By the name that programs use; ``train`` has another class of that name.
Backend = CollectiveBackend


class ReduceOp(Enum):
    """How values of several processes become one."""

    SUM = 0
    PRODUCT = 1
    MIN = 2
    MAX = 3
