"""Limits of this machine, or of the container around this process: memory, CPUs, GPUs.

Every reader takes `root`, which stands in for `/`, so that tests can bring their own `/proc`, `/sys` and `/dev`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ray_async.config import (
    OBJECT_STORE_MAX_MEMORY_BYTES,
    OBJECT_STORE_MEMORY_PROPORTION,
    USE_MULTIPROCESSING_CPU_COUNT,
    Settings,
)
from ray_async.frozen import Record
from ray_async.machine.cgroup import Cgroup

__all__ = (
    "MIN_OBJECT_STORE_BYTES",
    "MemoryGauge",
    "MemoryState",
    "cpu_count",
    "gpu_count",
    "logical_memory",
    "memory_state",
    "object_store_bytes",
    "process_rss",
)

MIN_OBJECT_STORE_BYTES = 75 << 20

_ROOT = Path("/")
_MEMINFO = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)
_GPU_DEVICE = re.compile(r"nvidia\d+")


class MemoryState(Record):
    """Memory in bytes: what there may ever be, and what is left now."""

    total: int
    available: int

    @property
    def used_share(self) -> float:
        """Share of the total that is in use, 0 to 1."""
        return 1.0 - self.available / self.total if self.total else 1.0


class MemoryGauge:
    """Reads the memory of the machine, cut down to the control groups that this process is in, again and again.

    Args:
        root: stands in for `/`.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        self._root = root
        self._group = Cgroup(root)

    def read(self) -> MemoryState:
        """The memory now.

        Raises:
            OSError: the system shows neither through `/proc` nor through `sysconf`.
        """
        total, available = _machine_memory(self._root)
        limit = self._group.memory_limit()
        if limit is None or limit >= total:
            return MemoryState(total, available)
        return MemoryState(limit, max(0, min(available, limit - (self._group.memory_used() or 0))))


def memory_state(root: Path = _ROOT) -> MemoryState:
    """One reading of a `MemoryGauge`."""
    return MemoryGauge(root).read()


def object_store_bytes(available: int, settings: Settings) -> int:
    """Default size of the object store in bytes: a share of available memory, within bounds."""
    share = int(available * settings.get(OBJECT_STORE_MEMORY_PROPORTION))
    return max(MIN_OBJECT_STORE_BYTES, min(share, settings.get(OBJECT_STORE_MAX_MEMORY_BYTES)))


def logical_memory(available: int, object_store: int) -> int:
    """Default amount of the `memory` resource in bytes: what the store leaves."""
    return max(0, available - object_store)


def cpu_count(settings: Settings, root: Path = _ROOT, affinity: int | None = None) -> int:
    """CPUs that this process may use: its affinity, cut by CPU quotas rounded down, at least one.

    Args:
        affinity: number of CPUs that the process may run on; asked from the system by default.
    """
    if settings.get(USE_MULTIPROCESSING_CPU_COUNT):
        return os.cpu_count() or 1
    count = _affinity() if affinity is None else affinity
    quota = Cgroup(root).cpu_quota()
    return max(1, count if quota is None else min(count, int(quota)))


def gpu_count(root: Path = _ROOT, environ: Mapping[str, str] | None = None) -> int:
    """NVIDIA GPUs that this process may see, found without a CUDA context.

    `CUDA_VISIBLE_DEVICES` only takes away: naming more devices than there are adds none.
    """
    present = len(_names(root / "proc/driver/nvidia/gpus"))
    if not present:
        present = sum(1 for name in _names(root / "dev") if _GPU_DEVICE.fullmatch(name))
    visible = (os.environ if environ is None else environ).get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    return min(present, _visible(visible))


def process_rss(pid: int, root: Path = _ROOT) -> int:
    """Resident memory of a process in bytes, shared pages included.

    Raises:
        ProcessLookupError: there is no such process.
    """
    try:
        pages = (root / "proc" / str(pid) / "statm").read_text().split()[1]
    except (OSError, IndexError) as error:
        raise ProcessLookupError(f"no process {pid}") from error
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _machine_memory(root: Path) -> tuple[int, int]:
    try:
        text = (root / "proc/meminfo").read_text()
    except OSError:
        page = os.sysconf("SC_PAGE_SIZE")  # no /proc: macOS
        total = os.sysconf("SC_PHYS_PAGES") * page
        free = os.sysconf("SC_AVPHYS_PAGES") * page if "SC_AVPHYS_PAGES" in os.sysconf_names else total // 2
        return total, free
    fields = {name: int(kib) << 10 for name, kib in _MEMINFO.findall(text)}
    if "MemTotal" not in fields:
        raise OSError("/proc/meminfo has no MemTotal")
    # Kernels before 3.14 have no MemAvailable.
    fallback = fields.get("MemFree", 0) + fields.get("Cached", 0) + fields.get("Buffers", 0)
    return fields["MemTotal"], fields.get("MemAvailable", fallback)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _visible(text: str) -> int:
    """Devices named before the first that is none, which is where CUDA stops reading."""
    count = 0
    for device in (part.strip() for part in text.split(",")):
        if device in ("", "-1", "NoDevFiles"):
            break
        count += 1
    return count


def _names(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:
        return []
