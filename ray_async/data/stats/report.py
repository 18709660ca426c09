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
        counts = stage.counts
        lines.append(f"  {stage.name:<{width}}  {counts.rows:>12,} rows  {size(counts.bytes):>10}{_rate(stage, wall)}")
        details = [_work(stage)] if counts.tasks or counts.failed else []
        if waits.get(stage.name):
            details.append(f"waited for {waits[stage.name]}")
        if details:
            lines.append(f"      {'; '.join(details)}")
    return "\n".join(lines)


def _rate(stage: Stage, wall: float) -> str:
    return f"  {stage.counts.rows / wall:>12,.0f} rows/s" if stage.counts.tasks and wall > 0 else ""


def _work(stage: Stage) -> str:
    counts = stage.counts
    text = f"{_calls(counts.tasks)}, {counts.seconds:.3f} s"
    if isinstance(stage, CallStage) and len(stage.records) > 1:
        seconds = sorted(record.seconds for record in stage.records)
        text += f" ({seconds[0]:.3f} to {seconds[-1]:.3f}, median {seconds[len(seconds) // 2]:.3f})"
        text += f" in {len({record.process for record in stage.records})} processes"
    return f"{text}, {counts.failed} failed" if counts.failed else text


def _calls(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"


def _waits(run: Run) -> dict[str, str]:
    """For each stage what it has waited for, the longest first."""
    if run.meter is None:
        return {}
    found = {}
    for name, waits in zip(run.meter.names, run.meter.waits, strict=True):
        longest = sorted(waits.items(), key=lambda item: -item[1])
        found[name] = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in longest if seconds >= _SHORT_S)
    return found
