"""GPU wait: a trial that starts waits until its GPU's memory is free of the trial before it."""

from __future__ import annotations

import logging
import time
from importlib import import_module
from typing import Any

import ray_async

__all__ = ("wait_for_gpu",)

_logger = logging.getLogger("ray_async.tune")


def wait_for_gpu(
    gpu_id: int | str | None = None,
    target_util: float = 0.01,
    retry: int = 20,
    delay_s: float = 5,
    gpu_memory_limit: float | None = None,
) -> bool:
    """Wait until a GPU's memory is free. Needs GPUtil (``pip install gputil``).

    Args:
        gpu_id: Number or UUID of the GPU; None: the first one of this task.
        target_util: Share of the memory that may be in use.
        retry: How often to look.
        delay_s: Seconds from one look to the next.
        gpu_memory_limit: Older name of ``target_util``.

    Returns:
        True.

    Raises:
        RuntimeError: The memory is not free after all looks, or GPUtil is missing.
        ValueError: There is no such GPU.
    """
    util: Any = _gputil()
    if gpu_memory_limit is not None:
        target_util = gpu_memory_limit
    if gpu_id is None:
        ids = ray_async.get_gpu_ids()
        if not ids:
            raise RuntimeError("wait_for_gpu: this task has no GPU; give gpu_id, or ask for one in resources")
        gpu_id = ids[0]
    attribute, wanted = _attribute(gpu_id)
    known = [getattr(gpu, attribute) for gpu in util.getGPUs()]
    if wanted not in known:
        raise ValueError(f"there is no GPU with {attribute} {wanted!r}; there are {known}")
    for _ in range(int(retry)):
        gpu = next(gpu for gpu in util.getGPUs() if getattr(gpu, attribute) == wanted)
        if gpu.memoryUtil <= target_util:
            return True
        _logger.info("waiting for GPU %s: %.1f%% of its memory is in use", wanted, gpu.memoryUtil * 100)
        time.sleep(delay_s)
    raise RuntimeError(f"the memory of GPU {wanted} is still in use after {retry} looks")


def _gputil() -> Any:
    try:
        return import_module("GPUtil")
    except ModuleNotFoundError:
        raise RuntimeError("wait_for_gpu needs GPUtil: pip install gputil") from None


def _attribute(gpu_id: Any) -> tuple[str, int | str]:
    if isinstance(gpu_id, str):
        return ("id", int(gpu_id)) if gpu_id.isdigit() else ("uuid", gpu_id)
    if isinstance(gpu_id, int):
        return "id", gpu_id
    raise ValueError(f"gpu_id is a number or a UUID, but got {gpu_id!r}")
