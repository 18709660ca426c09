"""Masked arrays, as two arrays: NumPy's own pickles copy both."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ("reduce_masked",)

_OWN_WAYS = ("__new__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def reduce_masked(array: Any) -> Any:
    """Data and mask apart; NotImplemented for a subclass that is made or pickled in a way of its own."""
    kind = type(array)
    if any(getattr(kind, name) is not getattr(np.ma.MaskedArray, name) for name in _OWN_WAYS):
        return NotImplemented
    mask = None if array._mask is np.ma.nomask else array._mask
    return rebuild_masked, (kind, array._data, mask, array._fill_value, array.hardmask)


def rebuild_masked(kind: Any, data: Any, mask: Any, fill_value: Any, hard: bool) -> Any:
    """A masked array over the two arrays."""
    mask = np.ma.nomask if mask is None else mask
    return np.ma.MaskedArray.__new__(kind, data, mask=mask, fill_value=fill_value, hard_mask=hard)
