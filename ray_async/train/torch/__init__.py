"""Torch: trainers whose workers are one process group of torch.distributed, and helpers for their functions."""

from __future__ import annotations

from ray_async.train.torch.data_loader import prepare_data_loader
from ray_async.train.torch.device import enable_reproducibility, get_device, get_devices
from ray_async.train.torch.model import prepare_model
from ray_async.train.torch.torch_config import TorchConfig
from ray_async.train.torch.torch_trainer import TorchTrainer

__all__ = (
    "TorchConfig",
    "TorchTrainer",
    "enable_reproducibility",
    "get_device",
    "get_devices",
    "prepare_data_loader",
    "prepare_model",
)
