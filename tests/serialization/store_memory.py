"""Where the memory of a value lies, as the system tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ("in_store",)


def in_store(array: Any) -> bool:
    """Whether an array looks into the session's memory, by whichever mapping of it."""
    address = np.asarray(array).__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(bound, 16) for bound in line.split(maxsplit=1)[0].split("-"))
        if low <= address < high:
            return "ray_async" in line
    return False
