"""The text of `ray_async status`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("format_status",)

_IN_BYTES = ("memory", "object_store_memory")
_HIDDEN = ("node:",)


def format_status(
    nodes: Sequence[Mapping[str, Any]],
    total: Mapping[str, float],
    available: Mapping[str, float],
    demands: Sequence[Mapping[str, Any]] = (),
    *,
    now: float | None = None,
    verbose: bool = False,
) -> str:
    """Describe a cluster for people.

    Args:
        nodes: rows as `nodes()` returns them.
        total: the resources that there are.
        available: those that nobody uses.
        demands: what waits for resources: {"resources": {...}, "count": int}.
        now: seconds since the epoch to put on top.
        verbose: whether each node's resources are listed.
    """
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    title = f"======== Autoscaler status: {stamp} ========"
    living = [node for node in nodes if node["Alive"]]
    failed = [node for node in nodes if not node["Alive"]]
    lines = [title, "Node status", "-" * len(title), "Active:"]
    lines += [f" 1 {node['NodeID']} ({node['NodeManagerAddress']})" for node in living] or [" (no active nodes)"]
    lines += ["Pending:", " (no pending nodes)", "Recent failures:"]
    lines += [f" {node['NodeID']}: {node.get('DeathReasonMessage') or 'died'}" for node in failed] or [" (no failures)"]
    lines += ["", "Resources", "-" * len(title), "Total Usage:", *_usage(total, available)]
    lines += ["", "From request_resources:", " (none)", "Pending Demands:"]
    lines += [f" {dict(demand['resources'])}: {demand['count']}+ pending tasks/actors" for demand in demands] or [
        " (no resource demands)"
    ]
    if verbose:
        for node in living:
            lines += ["", f"Node: {node['NodeID']}", " Resources:", *_usage(node["Resources"], None)]
    return "\n".join(lines)


def _usage(total: Mapping[str, float], available: Mapping[str, float] | None) -> list[str]:
    lines = []
    for name, amount in sorted(total.items()):
        if name.startswith(_HIDDEN):
            continue
        if available is None:
            lines.append(f"  {_amount(name, amount)} {name}")
        else:
            used = amount - available.get(name, 0.0)
            lines.append(f" {_amount(name, used)}/{_amount(name, amount)} {name}")
    return lines


def _amount(name: str, amount: float) -> str:
    if name not in _IN_BYTES:
        return f"{round(amount, 4):.1f}" if round(amount, 1) == round(amount, 4) else f"{round(amount, 4)}"
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f}B" if unit == "B" else f"{amount:.2f}{unit}"
        amount /= 1024
    return f"{amount:.2f}GiB"
