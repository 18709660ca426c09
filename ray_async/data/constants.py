"""Names and sizes that programs written for Ray import."""

from __future__ import annotations

__all__ = ("MAX_REPR_LENGTH", "TENSOR_COLUMN_NAME")

#: The column of a dataset that is made of arrays alone, in Ray's older releases; here it is ``data``.
TENSOR_COLUMN_NAME = "__value__"
#: Characters that the ``repr`` of a preprocessor with its defaults has at most.
MAX_REPR_LENGTH = 120
