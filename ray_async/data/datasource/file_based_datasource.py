"""Ray's import path of what concerns sources of files."""

from __future__ import annotations

__all__ = ("FILE_SIZE_FETCH_PARALLELIZATION_THRESHOLD",)

#: Files beyond which Ray asks for sizes in parallel; listings here bring the sizes along.
FILE_SIZE_FETCH_PARALLELIZATION_THRESHOLD = 16
