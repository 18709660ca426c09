"""Data: Python functions over tables that stream through bounded memory.

Functions here make a `Dataset`, a lazy plan; its methods extend the plan, or run it. The optimizer rewrites the plan, a
streaming executor runs its stages as tasks and actors over blocks, which are Arrow tables in the object store; small
plans without user functions run in the calling process.
"""

from __future__ import annotations

try:
    from ray_async.data.compute import ActorPoolStrategy, TaskPoolStrategy
    from ray_async.data.context import DataContext, ExecutionOptions, ExecutionResources
    from ray_async.data.dataset.dataset import Dataset
    from ray_async.data.dataset.materialized import MaterializedDataset
    from ray_async.data.dataset.summarizing import DatasetSummary
    from ray_async.data.exceptions import RayDataUserCodeException, UnknownColumnError
    from ray_async.data.grouped import GroupedData
    from ray_async.data.iteration.iterator import DataIterator
    from ray_async.data.plan.seeds import RandomSeedConfig
    from ray_async.data.reading.files import (
        read_binary_files,
        read_csv,
        read_datasource,
        read_images,
        read_json,
        read_numpy,
        read_parquet,
        read_text,
    )
    from ray_async.data.reading.objects import (
        from_arrow,
        from_arrow_refs,
        from_blocks,
        from_huggingface,
        from_items,
        from_numpy,
        from_numpy_refs,
        from_pandas,
        from_pandas_refs,
        from_polars,
        from_torch,
        range,
        range_tensor,
    )
    from ray_async.data.schema import Schema
    from ray_async.data.sinks.datasink import Datasink, TaskContext, WriteResult
    from ray_async.data.sinks.filename_provider import FilenameProvider
    from ray_async.data.sinks.save_mode import SaveMode
    from ray_async.data.sources.datasource import BlockMetadata, Datasource, ReadTask
    from ray_async.data.sources.partitioning import Partitioning, PartitionStyle
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] == "pyarrow":
        raise ImportError(
            "ray_async.data needs pyarrow, which is not installed: pip install 'ray_async[data]'"
        ) from error
    raise

__all__ = (
    "ActorPoolStrategy",
    "BlockMetadata",
    "DataContext",
    "DataIterator",
    "Dataset",
    "DatasetSummary",
    "Datasink",
    "Datasource",
    "ExecutionOptions",
    "ExecutionResources",
    "FilenameProvider",
    "GroupedData",
    "MaterializedDataset",
    "PartitionStyle",
    "Partitioning",
    "RandomSeedConfig",
    "RayDataUserCodeException",
    "ReadTask",
    "SaveMode",
    "Schema",
    "TaskContext",
    "TaskPoolStrategy",
    "UnknownColumnError",
    "WriteResult",
    "from_arrow",
    "from_arrow_refs",
    "from_blocks",
    "from_huggingface",
    "from_items",
    "from_numpy",
    "from_numpy_refs",
    "from_pandas",
    "from_pandas_refs",
    "from_polars",
    "from_torch",
    "range",
    "range_tensor",
    "read_binary_files",
    "read_csv",
    "read_datasource",
    "read_images",
    "read_json",
    "read_numpy",
    "read_parquet",
    "read_text",
)
