"""Sizes of tests: in the suite they take seconds; `make full-serve` runs them as large as they are meant."""

import os

__all__ = ("size",)


def size(usual: int, full: int) -> int:
    """The number that a test uses."""
    return full if os.environ.get("SERVE_SIZES") == "full" else usual
