"""Reports: where a run spent its time."""

from __future__ import annotations

import time

from ray_async.data.executor.execution import Run
from ray_async.data.executor.stages import CallStage, Stage
from ray_async.data.progress.text import size

__all__ = ("report",)

#: Waits that are not worth a word.
_SHORT_S = 0.05


def report(run: Run | None, name: str | None = None) -> str:
    """Lines for each stage of a run: what it gave, its calls, and what it has waited for."""
    title = f"Dataset {name}" if name else "Dataset"
    if run is None:
        return f"{title}: not run yet"
    wall = (run.ended if run.ended is not None else time.perf_counter()) - run.began
    state = "complete" if run.complete else "left early" if run.ended is None else "ended"
    where = "in the calling process" if run.inline else "on workers"
    lines = [f"{title}: {state}, {wall:.3f} s, {where}"]
    width = max(len(stage.name) for stage in run.machine.stages)
    waits = _waits(run)
    for stage in run.machine.stages:
        lines.append(_line(stage, width, wall))
        if waits.get(stage.name):
            lines.append(f"  {'':<{width}}  waited for {waits[stage.name]}")
    return "\n".join(lines)


def _line(stage: Stage, width: int, wall: float) -> str:
    counts = stage.counts
    text = f"  {stage.name:<{width}}  {counts.rows:>12,} rows  {size(counts.bytes):>10}"
    if not counts.tasks:
        return text
    text += f"  {counts.rows / max(wall, 1e-9):>12,.0f} rows/s  {_calls(counts.tasks):>11}, {counts.seconds:.3f} s"
    if isinstance(stage, CallStage) and len(stage.records) > 1:
        seconds = sorted(record.seconds for record in stage.records)
        text += f" ({seconds[0]:.3f} to {seconds[-1]:.3f}, median {seconds[len(seconds) // 2]:.3f})"
        text += f" in {len({record.process for record in stage.records})} processes"
    if counts.failed:
        text += f"  {counts.failed} failed"
    return text


def _calls(count: int) -> str:
    return f"{count:,} call{'s' if count > 1 else ''}"


def _waits(run: Run) -> dict[str, str]:
    """For each stage what it has waited for, the longest first."""
    if run.meter is None:
        return {}
    found = {}
    for name, waits in zip(run.meter.names, run.meter.waits, strict=True):
        longest = sorted(waits.items(), key=lambda item: -item[1])
        found[name] = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in longest if seconds >= _SHORT_S)
    return found
