"""NumPy files and pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.columns import column_of_array, column_of_values

__all__ = ("ImageReadFormat", "NumpyReadFormat")


@dataclass(frozen=True)
class NumpyReadFormat:
    """Arrays in NumPy's format, whose first dimension is the rows, in a column ``data``.

    Attributes:
        allow_pickle: whether arrays of Python objects are read, which can run any code.
        options: further options of `numpy.load`.
    """

    allow_pickle: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    name = "Numpy"
    growth = 1.0
    compressed = False
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        try:
            array = np.load(io.BytesIO(content), allow_pickle=self.allow_pickle, **self.options)
        except (ValueError, EOFError) as error:
            raise ValueError(f"Failed to read Numpy file: {path}: {error}") from error
        yield pa.table({"data": column_of_array(np.atleast_1d(array))})

    def schema(self) -> None:
        return None


@dataclass(frozen=True)
class ImageReadFormat:
    """Pictures as arrays of height, width and channels, in a column ``image``.

    Attributes:
        size: height and width to which pictures are brought; None keeps theirs.
        mode: of Pillow's, such as "RGB" or "L"; None keeps each picture's own.
    """

    size: tuple[int, int] | None = None
    mode: str | None = None
    name = "Images"
    growth = 8.0
    compressed = False
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(content)) as picture:
                found: Any = picture
                if self.size is not None:
                    height, width = self.size
                    found = found.resize((width, height), Image.Resampling.BILINEAR)
                if self.mode is not None and found.mode != self.mode:
                    found = found.convert(self.mode)
                array = np.array(found)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise ValueError(f"Failed to read image: {path}: {error}") from error
        yield pa.table({"image": column_of_values([array])})

    def schema(self) -> None:
        return None
