"""Settings of a run: where results go, how failures are met, which checkpoints stay, how many workers it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_async.air.placement_groups import PlacementGroupFactory
from ray_async.keyword_names import names_settings

__all__ = ("CheckpointConfig", "FailureConfig", "RunConfig", "ScalingConfig", "SyncConfig")


@names_settings
@dataclass
class CheckpointConfig:
    """Checkpoints that are kept.

    Args:
        num_to_keep: How many; None keeps all.
        checkpoint_score_attribute: Metric by which the best are kept; None keeps the latest.
        checkpoint_score_order: ``"max"`` or ``"min"``: whether a larger or a smaller metric is better.
        checkpoint_frequency: Iterations from one checkpoint to the next; 0 makes none.
        checkpoint_at_end: Whether one is made at the end.

    Raises:
        ValueError: A number or an order that is not allowed.
    """

    num_to_keep: int | None = None
    checkpoint_score_attribute: str | None = None
    checkpoint_score_order: str = "max"
    checkpoint_frequency: int = 0
    checkpoint_at_end: bool | None = None

    def __post_init__(self) -> None:
        if self.num_to_keep is not None and self.num_to_keep <= 0:
            raise ValueError(f"num_to_keep must be None or at least 1, but is {self.num_to_keep}")
        if self.checkpoint_score_order not in ("max", "min"):
            raise ValueError(f"checkpoint_score_order must be 'max' or 'min', but is {self.checkpoint_score_order!r}")
        if self.checkpoint_frequency < 0:
            raise ValueError(f"checkpoint_frequency must not be negative, but is {self.checkpoint_frequency}")


@names_settings
@dataclass
class FailureConfig:
    """Failures of a run.

    Args:
        max_failures: How often a run that failed is started again; -1: without end.
        fail_fast: Whether the first failure ends everything; ``"raise"`` raises it too.

    Raises:
        ValueError: Both are given, or a value that is not allowed.
    """

    max_failures: int = 0
    fail_fast: bool | str = False

    def __post_init__(self) -> None:
        if not (isinstance(self.fail_fast, bool) or self.fail_fast == "raise"):
            raise ValueError(f"fail_fast must be True, False or 'raise', but is {self.fail_fast!r}")
        if self.fail_fast and self.max_failures != 0:
            raise ValueError(f"max_failures must be 0 with fail_fast={self.fail_fast!r}, but is {self.max_failures}")


@names_settings
@dataclass
class SyncConfig:
    """Copies of results to a storage elsewhere.

    Args:
        sync_period: Seconds from one copy to the next while trials run.
        sync_timeout: Seconds that one copy may take.
        sync_artifacts: Whether files that trials write into their directories are copied too.
        sync_artifacts_on_checkpoint: Whether they are copied with each checkpoint.

    Raises:
        ValueError: A time that is not above 0.
    """

    sync_period: float = 300
    sync_timeout: float = 1800
    sync_artifacts: bool = False
    sync_artifacts_on_checkpoint: bool = True

    def __post_init__(self) -> None:
        for name in ("sync_period", "sync_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, but is {getattr(self, name)}")


@names_settings
@dataclass
class RunConfig:
    """A run as a whole.

    Args:
        name: The run's name.
        storage_path: Directory or URI where results go.
        storage_filesystem: A file system of pyarrow for the path.
        failure_config: How failures are met.
        checkpoint_config: Which checkpoints are kept.
        sync_config: How results are copied to the storage.
        verbose: How much is printed, from 0 to 2.
        stop: Metrics at which a run ends, by name, or an object that decides.
        callbacks: Objects that are called as the run goes on.
        progress_reporter: An object that prints the progress.
        log_to_file: Whether output goes to files, or the names of these.
        local_dir: Refused, as by Ray: ``storage_path`` has taken its place.

    Raises:
        DeprecationWarning: ``local_dir`` is given.
    """

    name: str | None = None
    storage_path: str | None = None
    storage_filesystem: Any = None
    failure_config: FailureConfig | None = field(default_factory=FailureConfig)
    checkpoint_config: CheckpointConfig | None = field(default_factory=CheckpointConfig)
    sync_config: Any = None
    verbose: int | None = None
    stop: Any = None
    callbacks: Sequence[Any] | None = None
    progress_reporter: Any = None
    log_to_file: bool | str | tuple[str, str] = False
    local_dir: str | None = None

    def __post_init__(self) -> None:
        if self.local_dir is not None:
            raise DeprecationWarning("RunConfig(local_dir=...) was removed: use storage_path")
        self.failure_config = self.failure_config or FailureConfig()
        self.checkpoint_config = self.checkpoint_config or CheckpointConfig()


@names_settings
@dataclass
class ScalingConfig:
    """Workers of a distributed run.

    Args:
        trainer_resources: Quantities of the process that leads the run, by resource.
        num_workers: How many workers there are.
        use_gpu: Whether each worker has a GPU.
        resources_per_worker: Quantities of each worker, by resource.
        placement_strategy: As of placement groups.
        accelerator_type: The kind of accelerator that each worker needs.

    Raises:
        ValueError: GPUs are asked for and denied.
    """

    trainer_resources: Mapping[str, float] | None = None
    num_workers: int = 1
    use_gpu: bool = False
    resources_per_worker: Mapping[str, float] | None = None
    placement_strategy: str = "PACK"
    accelerator_type: str | None = None

    def __post_init__(self) -> None:
        given = self.resources_per_worker or {}
        if not self.use_gpu and given.get("GPU", 0) > 0:
            raise ValueError("resources_per_worker asks for a GPU, and use_gpu is False")
        if self.use_gpu and given.get("GPU") == 0:
            raise ValueError("use_gpu is True, and resources_per_worker has 0 GPUs")

    @property
    def worker_bundle(self) -> dict[str, float]:
        """What each worker takes: a CPU, or a GPU, if nothing is said."""
        bundle = dict(self.resources_per_worker or {})
        if self.use_gpu:
            bundle.setdefault("GPU", 1.0)
        return bundle or {"CPU": 1.0}

    def as_placement_group_factory(self) -> PlacementGroupFactory:
        """Bundles of the process that leads the run, which takes nothing by default, and of the workers.

        Raises:
            ValueError: The number of workers is no number above 0.

        Example:
            >>> ScalingConfig(num_workers=2).as_placement_group_factory().bundles
            [{'CPU': 1.0}, {'CPU': 1.0}]
        """
        number: Any = self.num_workers
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"num_workers is a number above 0, but is {number!r}")
        bundles = [dict(self.trainer_resources or {}), *(self.worker_bundle for _ in range(self.num_workers))]
        return PlacementGroupFactory(bundles, self.placement_strategy)
