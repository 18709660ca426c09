"""The context: settings of Data, one for the process, copied into each dataset when it is made."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ("DataContext", "ExecutionOptions", "ExecutionResources", "ShuffleStrategy")


@dataclass
class ExecutionResources:
    """Amounts of resources; None has no limit.

    Attributes:
        cpu: CPUs.
        gpu: GPUs.
        object_store_memory: bytes of blocks.
        memory: bytes of heap.
    """

    cpu: float | None = None
    gpu: float | None = None
    object_store_memory: float | None = None
    memory: float | None = None


@dataclass
class ExecutionOptions:
    """How datasets are executed.

    Attributes:
        resource_limits: what one dataset may use: CPUs that work at a time, bytes of blocks between its stages.
        preserve_order: accepted; the order is always kept.
    """

    resource_limits: ExecutionResources = field(default_factory=ExecutionResources)
    preserve_order: bool = True


class ShuffleStrategy(StrEnum):
    """Ways to exchange rows that Ray knows; here the size decides, and all mean the same."""

    SORT_SHUFFLE_PULL_BASED = "sort_shuffle_pull_based"
    SORT_SHUFFLE_PUSH_BASED = "sort_shuffle_push_based"
    HASH_SHUFFLE = "hash_shuffle"
    GPU_SHUFFLE = "gpu_shuffle"
    SHUFFLE_V2 = "shuffle_v2"


@dataclass
class DataContext:
    """Settings. Those of Ray that are not described here can be set, and have no effect.

    Attributes:
        target_max_block_size: bytes of a full block; None: blocks are as large as the calls that make them.
        target_min_block_size: bytes under which data is not split for its size's sake.
        inline_bytes: bytes of data up to which plans without functions of the user's run in the calling process.
        max_errored_blocks: calls that may fail before an execution does; -1 for any number.
        execution_options: how datasets are executed.
        enable_progress_bars: whether progress is shown: bars on terminals and in notebooks, a line now and then
            elsewhere. The environment variable ``RAY_DATA_DISABLE_PROGRESS_BARS=1`` turns it off, too.
        enable_operator_progress_bars: whether each operator has a bar, rather than all together.
        execution_no_progress_timeout_s: seconds after which an execution fails, none of whose calls has ended; None:
            never.

    Example:
        >>> ray.data.DataContext.get_current().max_errored_blocks = 10
    """

    target_max_block_size: int | None = 128 << 20
    target_min_block_size: int = 1 << 20
    inline_bytes: int = 4 << 20
    max_errored_blocks: int = 0
    execution_options: ExecutionOptions = field(default_factory=ExecutionOptions)
    enable_progress_bars: bool = True
    enable_operator_progress_bars: bool = True
    enable_progress_bar_name_truncation: bool = True
    streaming_read_buffer_size: int = 32 << 20
    enable_pandas_block: bool = True
    read_op_min_num_blocks: int = 200
    min_parallelism: int = 200
    use_push_based_shuffle: bool = False
    shuffle_strategy: ShuffleStrategy = ShuffleStrategy.SHUFFLE_V2
    default_hash_shuffle_parallelism: int = 200
    max_hash_shuffle_aggregators: int | None = None
    scheduling_strategy: Any = "SPREAD"
    scheduling_strategy_large_args: Any = "DEFAULT"
    large_args_threshold: int = 50 << 20
    use_polars: bool = False
    use_polars_sort: bool = False
    decoding_size_estimation: bool = True
    use_ray_tqdm: bool = True
    enable_auto_log_stats: bool = False
    verbose_stats_logs: bool = False
    wait_for_min_actors_s: int = -1
    max_tasks_in_flight_per_actor: int | None = None
    max_map_retries: int = 0
    actor_task_retry_on_errors: Any = False
    actor_init_max_retries: int = 3
    op_resource_reservation_enabled: bool = True
    op_resource_reservation_ratio: float = 0.5
    enable_tensor_extension_casting: bool = True
    use_arrow_tensor_v2: bool = True
    enforce_schemas: bool = False
    print_on_execution_start: bool = True
    raise_original_map_exception: bool = False
    actor_prefetcher_enabled: bool = False
    execution_no_progress_timeout_s: float | None = 1800
    log_internal_stack_trace: bool = False
    isolate_read_workers: bool = False
    trace_allocations: bool = False
    write_file_retry_on_errors: list[str] = field(default_factory=list)
    retried_io_errors: list[str] = field(default_factory=list)
    checkpoint_config: Any = None
    _config: dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def get_current() -> DataContext:
        """The context of this process; changes are seen by datasets that are made later."""
        with _lock:
            if not _current:
                _current.append(DataContext())
            return _current[0]

    @staticmethod
    def _set_current(context: DataContext) -> None:
        """Put another context in the place of the process's; Ray's tests do so."""
        with _lock:
            _current[:] = [context]

    def copy(self) -> DataContext:
        """A copy that shares nothing with this one."""
        return copy.deepcopy(self)

    def get_config(self, key: str, default: Any = None) -> Any:
        """A value under a name of the user's."""
        return self._config.get(key, default)

    def set_config(self, key: str, value: Any) -> None:
        """Keep a value under a name of the user's."""
        self._config[key] = value

    def remove_config(self, key: str) -> None:
        """Forget the value under that name, if there is one."""
        self._config.pop(key, None)


_current: list[DataContext] = []
_lock = threading.Lock()
