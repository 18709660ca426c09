"""Checks of what comes out of files: nothing in there is ever unpickled."""

from __future__ import annotations

import pyarrow as pa

from ray_async.data.block.tensors import PythonObjectType

__all__ = ("check_no_objects",)


def check_no_objects(schema: pa.Schema, path: str) -> None:
    """Refuse columns of pickled objects: whoever made the file could run any code here.

    Raises:
        ValueError: There is such a column.
    """
    for name, kind in zip(schema.names, schema.types, strict=True):
        if isinstance(kind, PythonObjectType):
            raise ValueError(
                f"{path}: column {name!r} holds pickled Python objects, which are not read from files; "
                "write it as numbers, texts, lists or dicts, or leave it out by columns="
            )
