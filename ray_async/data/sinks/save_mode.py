"""Save modes: what a write does when there is something already."""

from __future__ import annotations

from enum import StrEnum

__all__ = ("SaveMode",)


class SaveMode(StrEnum):
    """What a write does when its folder exists: add to it, replace it, do nothing, or refuse."""

    APPEND = "append"
    OVERWRITE = "overwrite"
    IGNORE = "ignore"
    CREATE = "create"
    ERROR = "error"

    @classmethod
    def _missing_(cls, value: object) -> SaveMode | None:
        raise ValueError(f"mode must be one of {', '.join(map(repr, map(str, cls)))}, but is {value!r}")
