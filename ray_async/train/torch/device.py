"""Devices of a training worker, and random numbers that are the same in each run."""

from __future__ import annotations

import random
from typing import Any

import ray_async as ray

__all__ = ("enable_reproducibility", "get_device", "get_devices")


def get_devices() -> list[Any]:
    """The devices of this worker: its GPUs, or the CPU."""
    import torch

    if not (ray.is_initialized() and ray.get_gpu_ids() and torch.cuda.is_available()):
        return [torch.device("cpu")]
    # A worker sees its own GPUs alone, so they are numbered from 0.
    return [torch.device(f"cuda:{number}") for number in range(len(ray.get_gpu_ids()))]


def get_device() -> Any:
    """The first device of this worker."""
    return get_devices()[0]


def enable_reproducibility(seed: int = 0) -> None:
    """Seed all generators, and let torch use deterministic algorithms alone.

    Args:
        seed: The seed.
    """
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
