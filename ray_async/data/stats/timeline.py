"""Timelines: when each call of a run began and ended and in which process, as a trace of Chrome's or as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray_async.data.executor.execution import Run
from ray_async.data.executor.stages import CallRecord, CallStage

__all__ = ("draw_timeline", "events", "save_timeline")

COLOURS = ("#4468b0", "#c8502d", "#2a8a57", "#8a5aa8", "#c79a1b", "#3aa0a8", "#b0447a", "#6a6a6a")


def events(run: Run) -> list[dict[str, Any]]:
    """The calls of a run in Chrome's trace format: one complete event for each, times in microseconds."""
    return [
        {
            "name": stage.name,
            "cat": "data",
            "ph": "X",
            "ts": round(record.began * 1e6),
            "dur": round(record.seconds * 1e6),
            "pid": "ray_async data",
            "tid": record.process,
            "args": {"call": record.number, "rows": record.rows, "bytes": record.bytes},
        }
        for stage, records in _calls(run)
        for record in records
    ]


def save_timeline(run: Run, path: Path) -> None:
    """Write the timeline of a run.

    Args:
        run: the run.
        path: a file that ends in ``.json`` for Chrome (chrome://tracing, ui.perfetto.dev), or in the suffix of a format
            of pictures.

    Raises:
        ImportError: matplotlib is not installed, which draws pictures.
        ValueError: The suffix is of no format.
    """
    if path.suffix == ".json":
        path.write_text(json.dumps(events(run)))
    else:
        draw_timeline(run, path)


def draw_timeline(run: Run, path: Path) -> None:
    """Draw when each process ran calls of which operator; as `save_timeline`."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures of timelines need matplotlib: pip install matplotlib, or save as .json") from None
    calls = [(stage, records) for stage, records in _calls(run) if records]
    processes = sorted({record.process for _, records in calls for record in records})
    first = min((record.began for _, records in calls for record in records), default=0.0)
    figure = Figure(figsize=(10, 1.6 + 0.42 * max(1, len(processes)) + 0.2 * len(calls)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for index, (stage, records) in enumerate(calls):
        colour = COLOURS[index % len(COLOURS)]
        for row, process in enumerate(processes):
            spans = [(record.began - first, record.seconds) for record in records if record.process == process]
            axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=colour, edgecolor="white", linewidth=0.3)
        axes.barh([0], [0], color=colour, label=_label(stage, records))
    axes.set_yticks(range(len(processes)), [f"worker {process}" for process in processes], fontsize=8)
    axes.set_ylim(len(processes) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds")
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if calls:
        axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0))
    figure.savefig(path, dpi=130)


def _label(stage: CallStage, records: Sequence[CallRecord]) -> str:
    name = stage.name if len(stage.name) <= 90 else f"{stage.name[:89]}…"
    calls = f"{len(records):,} call{'s' if len(records) > 1 else ''}"
    return f"{name}: {calls}, {sum(record.seconds for record in records):.2f} s"


def _calls(run: Run) -> list[tuple[CallStage, Sequence[CallRecord]]]:
    return [(stage, list(stage.records)) for stage in run.machine.stages if isinstance(stage, CallStage)]
