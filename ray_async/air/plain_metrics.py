"""Plain metrics: tensors of one number as that number."""

from __future__ import annotations

from typing import Any

__all__ = ("plain_metrics",)


def plain_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics with tensors of one number as that number.

    Args:
        metrics: Metrics by name.

    Raises:
        ValueError: A tensor of several numbers.
    """
    if not any(_is_tensor(value) or isinstance(value, dict) for value in metrics.values()):
        return metrics
    plain: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            value = plain_metrics(value)
        elif _is_tensor(value):
            if value.numel() != 1:
                raise ValueError(
                    f"the metric {name!r} is a torch tensor of {value.numel()} numbers: report .tolist() or one number"
                )
            value = value.item()
        plain[name] = value
    return plain


def _is_tensor(value: Any) -> bool:
    kind = type(value)
    return kind.__module__.startswith("torch") and hasattr(value, "numel")
