"""Partitions: columns whose values stand in the names of folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

import pyarrow as pa

from ray_async.data.sources.listing import SourceFile

__all__ = ("PartitionStyle", "Partitioning")

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


class PartitionStyle(StrEnum):
    """How folders are named: ``year=2024`` or, with names given apart, ``2024``."""

    HIVE = "hive"
    DIRECTORY = "dir"


@dataclass(frozen=True)
class Partitioning:
    """How values stand in the names of folders.

    Args:
        style: "hive" or "dir".
        base_dir: the folder under which partitions begin; the one that is read by default.
        field_names: the columns' names; needed for "dir".

    Raises:
        ValueError: Folders without names of columns.

    Example:
        >>> ray.data.read_csv(folder, partitioning=Partitioning("dir", field_names=["year", "month"]))
    """

    style: PartitionStyle | str = PartitionStyle.HIVE
    base_dir: str | None = None
    field_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "style", PartitionStyle(self.style))
        if self.style == PartitionStyle.DIRECTORY and not self.field_names:
            raise ValueError('partitioning by folders (style "dir") needs field_names')

    def values(self, file: SourceFile) -> dict[str, str | None]:
        """The values for one file; None is null."""
        base = (self.base_dir or file.base).rstrip("/")
        folders = file.path.removeprefix(base).strip("/").split("/")[:-1]
        if self.style == PartitionStyle.DIRECTORY:
            names = list(self.field_names or ())
            if folders and len(folders) != len(names):
                raise ValueError(f"{file.path} lies in {len(folders)} folders, but field_names has {len(names)} names")
            return {name: unquote(folder) for name, folder in zip(names, folders, strict=False)}
        pairs = [folder.split("=", 1) for folder in folders if "=" in folder]
        return {unquote(name): None if value == NULL_FOLDER else unquote(value) for name, value in pairs}


def with_partitions(table: pa.Table, values: dict[str, str | None]) -> pa.Table:
    """A table with the values as columns behind its own, where it has none of that name."""
    for name, value in values.items():
        if name not in table.column_names:
            column = pa.repeat(pa.scalar(value, pa.string()), table.num_rows)
            table = table.append_column(name, column)
    return table
