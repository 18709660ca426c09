"""Views of strings and bytes: sixteen bytes for each row, which hold short ones and point to long ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ("cut_views",)

_SHORT = 12  # bytes that a view holds itself
_LENGTH, _BUFFER, _OFFSET = 0, 2, 3  # the fields of a long string's view; the other is its beginning


def cut_views(buffers: list[Any], validity: Any, begin: int, rows: int) -> list[Any]:
    """The views of some rows, and of the buffers of data what these rows point to."""
    size = 16 * rows
    views = buffers[0] if begin == 0 and buffers[0].size <= size else buffers[0].slice(16 * begin, size)
    data = buffers[1:]
    if not data:
        return [views]
    fields = np.frombuffer(views, "i4").reshape(-1, 4)
    long = fields[:, _LENGTH] > _SHORT
    if validity is not None:
        long &= np.unpackbits(np.frombuffer(validity, "u1"), count=rows, bitorder="little").astype(bool)
    spans = [_span(fields[long], number) for number in range(len(data))]
    kept = sum(min(high - low, used) for low, high, used in spans)
    if sum(buffer.size for buffer in data) - kept <= views.size:
        return [views, *data]  # to keep what is not used costs less than to copy the views
    fields = np.where(long[:, None] | (fields[:, :1] <= _SHORT), fields, 0)
    found: list[Any] = []
    targets = fields[:, _BUFFER].copy()
    for number, (low, high, used) in enumerate(spans):
        if high == 0:
            continue
        here = long & (targets == number)
        fields[here, _BUFFER] = len(found)
        if used * 2 < high - low:
            found.append(_gather(data[number], fields, here))
        else:
            fields[here, _OFFSET] -= low
            found.append(data[number].slice(low, high - low))
    return [pa.py_buffer(np.ascontiguousarray(fields)), *found]


def _span(fields: Any, number: int) -> tuple[int, int, int]:
    """Where the strings in one buffer begin and end, and how many bytes they are together; zeros if there are none."""
    here = fields[fields[:, _BUFFER] == number].astype("i8")
    if not len(here):
        return 0, 0, 0
    ends = here[:, _OFFSET] + here[:, _LENGTH]
    return int(here[:, _OFFSET].min()), int(ends.max()), int(here[:, _LENGTH].sum())


def _gather(buffer: Any, fields: Any, here: Any) -> Any:
    """The strings of some views one behind the other; the views point there then."""
    lengths, offsets = fields[here, _LENGTH].astype("i8"), fields[here, _OFFSET].astype("i8")
    places = np.cumsum(lengths) - lengths
    indices = np.repeat(offsets - places, lengths) + np.arange(int(lengths.sum()))
    fields[here, _OFFSET] = places
    return pa.py_buffer(np.frombuffer(buffer, "u1")[indices])
