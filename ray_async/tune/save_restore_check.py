"""Check that a Trainable class can be saved and restored, before a search relies on it."""

from __future__ import annotations

import shutil
from typing import Any

from ray_async.tune.trainable.registry import registered_trainable
from ray_async.tune.trainable.trainable import Trainable

__all__ = ("validate_save_restore",)


def validate_save_restore(trainable_cls: Any, config: dict[str, Any] | None = None, num_gpus: int = 0) -> bool:
    """Train, save and restore a Trainable class, here and now.

    Args:
        trainable_cls: The class, or its registered name.
        config: Its config.
        num_gpus: Has no effect: the class runs in this process.

    Returns:
        True.

    Raises:
        AssertionError: The restored object does not go on where the saved one was.
        Exception: Whatever the class raises.
    """
    kind: type[Trainable] = registered_trainable(trainable_cls) if isinstance(trainable_cls, str) else trainable_cls
    first, second = kind(config or {}), kind(config or {})
    try:
        for _ in range(3):
            result = first.train()
        saved = first.save()
        try:
            second.restore(saved)
        finally:
            shutil.rmtree(saved.checkpoint.path)
        following = second.train()
        if following["training_iteration"] != result["training_iteration"] + 1:
            raise AssertionError(f"{kind.__name__} was at iteration {result['training_iteration']} when it was saved, "
                                 f"and goes on with {following['training_iteration']}")  # fmt: skip
    finally:
        first.stop()
        second.stop()
    return True
