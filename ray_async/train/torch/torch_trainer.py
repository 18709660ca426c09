"""Torch trainer: a training function in several workers that are one process group of torch.distributed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import RunConfig, ScalingConfig
from ray_async.train.data_config import DataConfig
from ray_async.train.data_parallel_trainer import DataParallelTrainer
from ray_async.train.torch.torch_config import TorchConfig

__all__ = ("TorchTrainer",)


class TorchTrainer(DataParallelTrainer):
    """A `DataParallelTrainer` for torch: ``torch.distributed`` is set up before the function begins.

    Args:
        train_loop_per_worker: A function of nothing or of a config.
        train_loop_config: The config.
        torch_config: Settings of the process group.
        scaling_config: How many workers there are, and what each takes.
        run_config: Where results go, how failures are met, which checkpoints stay.
        datasets: Datasets by name.
        dataset_config: How these are divided.
        validation_config: Refused: validation beside training is not there.
        metadata: Values that are stored with each checkpoint.
        resume_from_checkpoint: A checkpoint to begin with.

    Example:
        >>> def loop(config):
        ...     model = train.torch.prepare_model(torch.nn.Linear(4, 1))  # doctest: +SKIP
        >>> trainer = TorchTrainer(loop, train_loop_config={"lr": 0.1}, scaling_config=ScalingConfig(num_workers=2))
    """

    def __init__(
        self,
        train_loop_per_worker: Callable[..., Any],
        *,
        train_loop_config: Mapping[str, Any] | None = None,
        torch_config: TorchConfig | None = None,
        scaling_config: ScalingConfig | None = None,
        run_config: RunConfig | None = None,
        datasets: Mapping[str, Any] | None = None,
        dataset_config: DataConfig | None = None,
        validation_config: Any = None,
        metadata: Mapping[str, Any] | None = None,
        resume_from_checkpoint: Checkpoint | None = None,
    ) -> None:
        super().__init__(
            train_loop_per_worker,
            train_loop_config=train_loop_config,
            backend_config=torch_config or TorchConfig(),
            scaling_config=scaling_config,
            run_config=run_config,
            datasets=datasets,
            dataset_config=dataset_config,
            resume_from_checkpoint=resume_from_checkpoint,
            metadata=metadata,
            validation_config=validation_config,
        )
