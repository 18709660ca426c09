"""Ray's import path of what extends reading and writing."""

from __future__ import annotations

from ray_async.data.sinks.datasink import Datasink, TaskContext, WriteResult
from ray_async.data.sinks.filename_provider import FilenameProvider
from ray_async.data.sinks.save_mode import SaveMode
from ray_async.data.sources.datasource import Datasource, ReadTask
from ray_async.data.sources.partitioning import Partitioning, PartitionStyle

__all__ = ("Datasink", "Datasource", "FilenameProvider", "PartitionStyle", "Partitioning", "ReadTask", "SaveMode",
           "TaskContext", "WriteResult")  # fmt: skip
