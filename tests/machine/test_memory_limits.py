from __future__ import annotations

import os
from pathlib import Path

import pytest

from ray_async.config import Settings
from ray_async.machine.cgroup import Cgroup, MemoryEvents
from ray_async.machine.memory_limits import (
    MIN_OBJECT_STORE_BYTES,
    MemoryState,
    cpu_count,
    gpu_count,
    logical_memory,
    memory_state,
    object_store_bytes,
    process_rss,
)

GiB = 1 << 30
SETTINGS = Settings(environ={})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "proc/meminfo", f"MemTotal: {16 << 20} kB\nMemFree: 1 kB\nMemAvailable: {8 << 20} kB\n")
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def version_2(root: Path, group: str = "/a/b") -> None:
    write(root, "proc/self/cgroup", f"0::{group}\n")
    write(root, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n")


def version_1(root: Path, group: str = "/a") -> None:
    write(root, "proc/self/cgroup", f"4:memory:{group}\n3:cpu,cpuacct:{group}\n0::/\n")


def test_no_groups(root: Path) -> None:
    assert memory_state(root) == MemoryState(16 * GiB, 8 * GiB)
    group = Cgroup(root)
    assert (group.memory_limit(), group.memory_used(), group.cpu_quota(), group.memory_events()) == (None,) * 4


def test_version_2_takes_the_tightest_ancestor(root: Path) -> None:
    version_2(root)
    write(root, "sys/fs/cgroup/a/memory.max", f"{2 * GiB}\n")
    write(root, "sys/fs/cgroup/a/memory.current", f"{GiB}\n")
    write(root, "sys/fs/cgroup/a/memory.stat", f"anon 5\ninactive_file {GiB // 2}\n")
    write(root, "sys/fs/cgroup/a/b/memory.max", "max\n")
    write(root, "sys/fs/cgroup/a/b/memory.current", "4096\n")
    assert memory_state(root) == MemoryState(2 * GiB, 2 * GiB - GiB // 2)
    assert memory_state(root).used_share == 0.25


def test_version_2_in_a_container_that_sees_only_its_mount(root: Path) -> None:
    version_2(root, "/host/path/unseen")
    write(root, "sys/fs/cgroup/memory.max", f"{GiB}\n")
    write(root, "sys/fs/cgroup/memory.current", f"{3 * GiB}\n")
    assert memory_state(root) == MemoryState(GiB, 0)


def test_version_1(root: Path) -> None:
    version_1(root)
    write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", f"{4 * GiB}\n")
    write(root, "sys/fs/cgroup/memory/a/memory.usage_in_bytes", f"{3 * GiB}\n")
    write(root, "sys/fs/cgroup/memory/a/memory.stat", f"total_inactive_file {GiB}\n")
    assert memory_state(root) == MemoryState(4 * GiB, 2 * GiB)


def test_limit_above_the_machine_does_not_count(root: Path) -> None:
    version_2(root)
    write(root, "sys/fs/cgroup/a/memory.max", f"{64 * GiB}\n")
    assert memory_state(root) == MemoryState(16 * GiB, 8 * GiB)


def test_memory_events(root: Path) -> None:
    version_2(root)
    write(root, "sys/fs/cgroup/a/b/memory.events", "low 0\noom 2\noom_kill 3\n")
    before = Cgroup(root).memory_events()
    assert before == MemoryEvents(3)
    write(root, "sys/fs/cgroup/a/b/memory.events", "low 0\noom 4\noom_kill 5\n")
    after = Cgroup(root).memory_events()
    assert after is not None and after.kills_since(before) == 2
    assert before.kills_since(after) == 0


def test_memory_events_version_1(root: Path) -> None:
    version_1(root)
    write(root, "sys/fs/cgroup/memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n")
    assert Cgroup(root).memory_events() == MemoryEvents(7)


def test_cpu_quotas(root: Path) -> None:
    assert cpu_count(SETTINGS, root, affinity=6) == 6
    version_2(root)
    write(root, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    write(root, "sys/fs/cgroup/a/cpu.max", "350000 100000\n")
    assert Cgroup(root).cpu_quota() == 3.5
    assert cpu_count(SETTINGS, root, affinity=6) == 3
    assert cpu_count(SETTINGS, root, affinity=2) == 2
    write(root, "sys/fs/cgroup/a/cpu.max", "50000 100000\n")
    assert cpu_count(SETTINGS, root, affinity=6) == 1


def test_cpu_quota_version_1(root: Path) -> None:
    version_1(root)
    write(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert Cgroup(root).cpu_quota() is None
    write(root, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "200000\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n")
    assert Cgroup(root).cpu_quota() == 2.0


def test_cpu_count_of_the_whole_machine_on_request(root: Path) -> None:
    version_2(root)
    write(root, "sys/fs/cgroup/a/cpu.max", "1000 100000\n")
    settings = Settings({"use_multiprocessing_cpu_count": True}, {})
    assert cpu_count(settings, root, affinity=1) == os.cpu_count()


def test_store_size_rule() -> None:
    assert object_store_bytes(10 * GiB, SETTINGS) == 3 * GiB
    assert object_store_bytes(10**12, SETTINGS) == 200 * 10**9
    assert object_store_bytes(10**6, SETTINGS) == MIN_OBJECT_STORE_BYTES == 78_643_200
    half = Settings({"default_object_store_memory_proportion": 0.5}, {})
    assert object_store_bytes(10 * GiB, half) == 5 * GiB
    assert logical_memory(10 * GiB, 3 * GiB) == 7 * GiB
    assert logical_memory(10, MIN_OBJECT_STORE_BYTES) == 0


@pytest.mark.parametrize(
    ("visible", "count"),
    [
        (None, 3),
        ("", 0),
        ("-1", 0),
        ("NoDevFiles", 0),
        ("0,2", 2),
        ("0,-1,2", 1),
        ("GPU-ab, GPU-cd", 2),
        ("0,1,2,3", 3),
    ],
)
def test_gpus(root: Path, visible: str | None, count: int) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        write(root, f"dev/{name}", "")
    assert gpu_count(root, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == count


def test_gpus_from_the_driver(root: Path) -> None:
    assert gpu_count(root, {}) == 0
    assert gpu_count(root, {"CUDA_VISIBLE_DEVICES": "0"}) == 0
    write(root, "proc/driver/nvidia/gpus/0000:01:00.0/information", "")
    assert gpu_count(root, {}) == 1


def test_rss(root: Path) -> None:
    write(root, "proc/12/statm", "100 25 10 1 0 5 0\n")
    assert process_rss(12, root) == 25 * os.sysconf("SC_PAGE_SIZE")
    with pytest.raises(ProcessLookupError, match="13"):
        process_rss(13, root)
    assert process_rss(os.getpid()) > 1 << 20


def test_old_kernels_and_broken_tables(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal: 100 kB\nMemFree: 10 kB\nCached: 20 kB\nBuffers: 5 kB\n")
    assert memory_state(tmp_path) == MemoryState(100 << 10, 35 << 10)
    write(tmp_path, "proc/meminfo", "nothing\n")
    with pytest.raises(OSError, match="MemTotal"):
        memory_state(tmp_path)


def test_this_machine() -> None:
    state = memory_state()
    assert 0 < state.available <= state.total
    assert cpu_count(SETTINGS) >= 1
