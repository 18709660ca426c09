"""What the numbers were measured on, in the words of the README's caption."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ("describe_machine",)


def _first_value(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def describe_machine() -> dict[str, str | int | float]:
    """Processor, cores, memory in GB, kernel and Python; entries that the platform does not tell are left out.

    Example: `describe_machine()["cores"]`.
    """
    memory = _first_value("/proc/meminfo", "MemTotal").split()
    found: dict[str, str | int | float] = {
        "processor": _first_value("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(int(memory[0]) / 1e6, 1) if memory else 0.0,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    if hasattr(os, "getloadavg"):
        found["load"] = round(os.getloadavg()[0], 2)
    return {key: value for key, value in found.items() if value not in ("", 0.0)} | {"cores": found["cores"]}
