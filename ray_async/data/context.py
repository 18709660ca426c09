"""The context: settings of Data, one for the process, copied into each dataset when it is made."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

__all__ = ("DataContext", "ExecutionOptions", "ExecutionResources")


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


@dataclass
class DataContext:
    """Settings.

    Attributes:
        target_max_block_size: bytes of a full block.
        target_min_block_size: bytes under which data is not split for its size's sake.
        inline_bytes: bytes of data up to which plans without functions of the user's run in the calling process.
        max_errored_blocks: calls that may fail before an execution does; -1 for any number.
        execution_options: how datasets are executed.
        enable_progress_bars: whether progress is shown on terminals.

    Example:
        >>> ray.data.DataContext.get_current().max_errored_blocks = 10
    """

    target_max_block_size: int = 128 << 20
    target_min_block_size: int = 1 << 20
    inline_bytes: int = 4 << 20
    max_errored_blocks: int = 0
    execution_options: ExecutionOptions = field(default_factory=ExecutionOptions)
    enable_progress_bars: bool = True
    _config: dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def get_current() -> DataContext:
        """The context of this process; changes are seen by datasets that are made later."""
        with _lock:
            if not _current:
                _current.append(DataContext())
            return _current[0]

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
