"""Ray's import path of iterators."""

from __future__ import annotations

from ray_async.data.iteration.iterator import DataIterator

__all__ = ("DataIterator",)
