"""The package's logger, under the name that programs written for Ray import."""

from __future__ import annotations

import logging

__all__ = ("logger",)

logger = logging.getLogger("ray_async")
