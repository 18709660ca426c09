"""Configuration of how clients are told that too many requests wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray_async.serve.config_value import ConfigValue

__all__ = ("BackpressureConfig",)


@dataclass(frozen=True)
class BackpressureConfig(ConfigValue):
    """How an HTTP request is answered that finds `max_queued_requests` others waiting.

    Args:
        status_code: 503, or 429.
        retry_after_s: Seconds that the header ``Retry-After`` names, rounded up; None: there is no such header.

    Raises:
        ValueError: Another status, or a time that is none.
    """

    status_code: int = 503
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        if self.status_code not in (503, 429):
            raise ValueError(f"status_code must be 503 or 429, but is {self.status_code!r}")
        seconds = self.retry_after_s
        if seconds is not None and not (seconds >= 0 and math.isfinite(seconds)):
            raise ValueError(f"retry_after_s must be 0 or more, but is {seconds!r}")

    @classmethod
    def of(cls, value: BackpressureConfig | Mapping[str, Any] | None) -> BackpressureConfig | None:
        """The configuration that an option names.

        Raises:
            TypeError: Neither a configuration nor a dict.
            ValueError: An unknown key, or a value that is not allowed.
        """
        return None if value is None else cls._made_of(value, "backpressure_config")
