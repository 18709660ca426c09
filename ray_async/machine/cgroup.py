"""Control groups of this process, versions 1 and 2: memory limits, memory events, CPU quota.

Nothing here fails where files are missing: a machine without control groups has no limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ray_async.frozen import Record

__all__ = ("Cgroup", "MemoryEvents")

# Version 1 writes "no limit" as the largest multiple of a page; no machine has that much.
_NO_LIMIT = 1 << 60


class MemoryEvents(Record):
    """Counters of the memory controller; they only grow.

    Args:
        oom_kill: processes of the group that the kernel killed for memory.
    """

    oom_kill: int = 0

    def kills_since(self, before: MemoryEvents) -> int:
        """Processes killed between the two readings."""
        return max(0, self.oom_kill - before.oom_kill)


class Cgroup:
    """Reads the control groups that this process is in.

    Args:
        root: stands in for `/`, so that tests can bring their own `/proc` and `/sys`.
        pid: the process to ask about, "self" by default.
    """

    def __init__(self, root: Path = Path("/"), pid: int | str = "self") -> None:
        self._mount = root / "sys/fs/cgroup"
        self._membership = _membership(root / "proc" / str(pid) / "cgroup")
        self._chains: dict[tuple[int, str], list[Path]] = {}

    def memory_limit(self) -> int | None:
        """The least memory limit of the group and those above it, in bytes; None without one."""
        limits = [_number(d / "memory.max") for d in self._chain_v2("memory")]
        limits += [_number(d / "memory.limit_in_bytes") for d in self._chain_v1("memory")]
        return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)

    def memory_used(self) -> int | None:
        """Bytes in use by the group that set the limit, without file pages that can go at once; None if unknown."""
        found: list[tuple[int, int]] = []
        for limit, usage, inactive, dirs in (
            ("memory.max", "memory.current", "inactive_file", self._chain_v2("memory")),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", self._chain_v1("memory")),
        ):
            for directory in dirs:
                used = _number(directory / usage)
                if used is None:
                    continue
                bound = _number(directory / limit)
                reclaimable = _fields(directory / "memory.stat").get(inactive, 0)
                found.append((_NO_LIMIT if bound is None else bound, max(0, used - reclaimable)))
        return min(found)[1] if found else None

    def memory_events(self) -> MemoryEvents | None:
        """The counters now; None where the kernel keeps none."""
        for directory in self._chain_v2("memory"):
            fields = _fields(directory / "memory.events")
            if "oom_kill" in fields:
                return MemoryEvents(fields["oom_kill"])
        for directory in self._chain_v1("memory"):
            fields = _fields(directory / "memory.oom_control")
            if "oom_kill" in fields:
                return MemoryEvents(fields["oom_kill"])
        return None

    def cpu_quota(self) -> float | None:
        """CPUs that the quotas of the group and those above it allow; None without one."""
        quotas: list[float] = []
        for directory in self._chain_v2("cpu"):
            words = _words(directory / "cpu.max")
            if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]) > 0:
                quotas.append(int(words[0]) / int(words[1]))
        for directory in self._chain_v1("cpu"):
            quota, period = _number(directory / "cpu.cfs_quota_us"), _number(directory / "cpu.cfs_period_us")
            if quota is not None and quota > 0 and period:
                quotas.append(quota / period)
        return min(quotas, default=None)

    def _chain_v2(self, controller: str) -> list[Path]:
        return self._chain(2, controller, self._find_v2)

    def _chain_v1(self, controller: str) -> list[Path]:
        return self._chain(1, controller, self._find_v1)

    def _chain(self, version: int, controller: str, find: Callable[[str], Iterator[Path]]) -> list[Path]:
        """The directories of a controller, from the process's group upwards: looked for once, since they stay."""
        if (version, controller) not in self._chains:
            self._chains[version, controller] = list(find(controller))
        return self._chains[version, controller]

    def _find_v2(self, controller: str) -> Iterator[Path]:
        for mount in (self._mount, self._mount / "unified"):
            if (mount / "cgroup.controllers").exists():
                yield from _upwards(mount, self._membership.get("", "/"))
                return

    def _find_v1(self, controller: str) -> Iterator[Path]:
        for name in (controller, "cpu,cpuacct", "cpuacct,cpu"):
            mount = self._mount / name
            if controller in name.split(",") and mount.is_dir():
                yield from _upwards(mount, self._membership.get(controller, "/"))
                return


def _upwards(mount: Path, inner: str) -> Iterator[Path]:
    """The group's directory and those above it; a container may see only the mount itself."""
    directory = mount / inner.lstrip("/")
    while True:
        if directory.is_dir():
            yield directory
        if directory == mount or mount not in directory.parents:
            return
        directory = directory.parent


def _membership(path: Path) -> dict[str, str]:
    """Controller → path of the group; version 2 stands under the empty name."""
    groups: dict[str, str] = {}
    for line in _text(path).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, inner = rest.partition(":")
        for controller in controllers.split(","):
            groups[controller] = inner
    return groups


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if len(words) == 1 and words[0].lstrip("-").isdigit() else None


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
