"""The library whose arrays a reader wants, while it reads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

__all__ = ("LIBRARIES", "wanted", "wanted_library")

#: What `get(..., like=...)` takes.
LIBRARIES = ("numpy",)
_local = threading.local()


def wanted_library() -> str | None:
    """The name of the library; None: arrays come as they were sent."""
    library: str | None = getattr(_local, "library", None)
    return library


@contextlib.contextmanager
def wanted(library: str) -> Iterator[None]:
    """Have device arrays that this thread reads meanwhile come as a library's.

    Raises:
        ValueError: there is no way to that library.
    """
    if library not in LIBRARIES:
        raise ValueError(f"get(like={library!r}) is not available: give one of {', '.join(map(repr, LIBRARIES))}")
    before, _local.library = wanted_library(), library
    try:
        yield
    finally:
        _local.library = before
