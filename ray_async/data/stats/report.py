"""Reports: where a run spent its time."""

from __future__ import annotations

import time

from ray_async.data.executor.execution import Run

__all__ = ("report",)


def report(run: Run | None, name: str | None = None) -> str:
    """A line for each stage of a run."""
    title = f"Dataset {name}" if name else "Dataset"
    if run is None:
        return f"{title}: not run yet"
    wall = (run.ended if run.ended is not None else time.perf_counter()) - run.began
    state = "complete" if run.complete else "left early" if run.ended is None else "ended"
    where = "in the calling process" if run.inline else "on workers"
    lines = [f"{title}: {state}, {wall:.3f} s, {where}"]
    width = max(len(stage.name) for stage in run.machine.stages)
    for stage in run.machine.stages:
        counts = stage.counts
        text = f"  {stage.name:<{width}}  {counts.rows:>12,} rows  {_bytes(counts.bytes):>10}"
        if counts.tasks:
            text += f"  {counts.tasks:>6} calls, {counts.seconds:.3f} s"
        if counts.failed:
            text += f"  {counts.failed} failed"
        lines.append(text)
    return "\n".join(lines)


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
