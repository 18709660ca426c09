"""Models of training workers: on the worker's device, and with gradients that all workers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.train.context import get_context
from ray_async.train.torch.device import get_device

__all__ = ("prepare_model",)


def prepare_model(
    model: Any,
    move_to_device: bool = True,
    parallel_strategy: str | None = "ddp",
    parallel_strategy_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """A model that several workers train together.

    Args:
        model: The model.
        move_to_device: Whether it goes to the worker's device.
        parallel_strategy: ``"ddp"``, ``"fsdp"`` (GPUs alone), or None for a model that each worker trains by itself.
        parallel_strategy_kwargs: Further arguments of the wrapper.

    Returns:
        The model, wrapped if there are several workers.

    Raises:
        ValueError: Another strategy.
    """
    if parallel_strategy not in ("ddp", "fsdp", None):
        raise ValueError(f"parallel_strategy must be 'ddp', 'fsdp' or None, but is {parallel_strategy!r}")
    device = get_device()
    if move_to_device:
        model = model.to(device)
    if get_context().get_world_size() < 2 or parallel_strategy is None:
        return model
    options = dict(parallel_strategy_kwargs or {})
    if parallel_strategy == "fsdp":
        from torch.distributed.fsdp import FullyShardedDataParallel

        return FullyShardedDataParallel(model, **options)
    from torch.nn.parallel import DistributedDataParallel

    if device.type != "cpu":
        options.setdefault("device_ids", [device])
    return DistributedDataParallel(model, **options)
