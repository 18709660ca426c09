"""The forms of batches that preprocessors ask for, by the import path that Ray gives them."""

from __future__ import annotations

from enum import StrEnum

__all__ = ("BatchFormat",)


class BatchFormat(StrEnum):
    """A batch's form; methods that take the name of a ``batch_format`` take these as well."""

    PANDAS = "pandas"
    ARROW = "arrow"
    NUMPY = "numpy"
