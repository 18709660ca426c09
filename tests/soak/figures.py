"""What a session takes: bytes of the store, memory of processes, time for a look at everything in the node."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ray_async.engine.current import get_session
from ray_async.frozen import Record

__all__ = ("Figures", "statistics")


def statistics() -> dict[str, Any]:
    """The node's own figures."""
    found: dict[str, Any] = get_session().control("statistics")
    return found


class Figures(Record):
    """One look.

    Attributes:
        used: bytes of the store in use.
        classes: scheduling classes.
        node, driver: private memory of these processes, in bytes.
        look_us: time of one look at all classes and resources in the node, in microseconds; the best of some.
    """

    used: int
    classes: int
    node: int
    driver: int
    look_us: float

    @classmethod
    def now(cls) -> Figures:
        """Take them."""
        found = statistics()
        looks = []
        for _ in range(20):
            start = time.perf_counter()
            get_session().available_resources()
            looks.append((time.perf_counter() - start) * 1e6)
        return cls(
            found["used"], found["classes"], private_bytes(found["node_pid"]), private_bytes(os.getpid()), min(looks)
        )

    def __str__(self) -> str:
        mib = 1 << 20
        return (
            f"store {self.used / mib:6.1f} MiB, {self.classes:4} classes, node {self.node / mib:6.1f} MiB, "
            f"driver {self.driver / mib:6.1f} MiB, a look {self.look_us:6.0f} us"
        )


def private_bytes(pid: int) -> int:
    """Memory of a process that is not shared."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} does not say how much memory it has")
