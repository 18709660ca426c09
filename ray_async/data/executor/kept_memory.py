"""Kept memory: what a process's allocators hold of memory that is free, and how they give it back to the system."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

import pyarrow as pa

__all__ = ("KeptMemory", "private_bytes")

_PAGE = os.sysconf("SC_PAGE_SIZE")


class KeptMemory:
    """Keeps what a worker holds between two calls small, where memory is scarce.

    Arrow's allocator and the C library's keep what is freed, so that it is faster to use again: a worker goes on
    holding what its largest call needed, and so does each of the others.

    Args:
        most: bytes by which the process may have grown since memory was last given back, before it is again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = private_bytes()

    def look(self) -> None:
        """Give back what is free, if the process has grown by so much; after a call."""
        if private_bytes() - self._least <= self._most:
            return
        pa.default_memory_pool().release_unused()
        _trim(0)
        self._least = private_bytes()


def private_bytes() -> int:
    """Memory of this process that is neither the store's nor a file's."""
    with open("/proc/self/statm", "rb") as file:
        _, resident, shared, *_ = file.read().split()
    return (int(resident) - int(shared)) * _PAGE


def _find_trim() -> Callable[[int], object]:
    """The C library's way to give back; of one that has none, nothing is known to be kept."""
    return getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)


_trim = _find_trim()
