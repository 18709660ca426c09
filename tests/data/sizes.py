"""Sizes of tests: small in the suite, as large as they are meant with ``DATA_SIZES=full`` (``make full-data``)."""

import os
from typing import TypeVar

__all__ = ("FULL", "full")

T = TypeVar("T")
FULL = os.environ.get("DATA_SIZES") == "full"


def full(small: T, large: T) -> T:
    """The size for this run."""
    return large if FULL else small
