"""Page of plots: one HTML file of a search that has ended or runs, made of what its journal has."""

from __future__ import annotations

import base64
import html
import io
import os
import time
from collections import Counter
from typing import Any

from ray_async.tune.execution.restoring import trials_of
from ray_async.tune.plots.kinds import KINDS
from ray_async.tune.plots.search_data import SearchData
from ray_async.tune.results.history import History

__all__ = ("page",)

# Rows of the table of trials: the best ones.
MAX_ROWS = 100
_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#0f172a;margin:2rem auto;max-width:1240px;padding:0 1rem}
h1{font-size:1.4rem;margin:0}p.sub{color:#64748b;margin:.2rem 0 1.2rem}
.tiles{display:flex;gap:.8rem;flex-wrap:wrap;margin-bottom:1.2rem}
.tile{border:1px solid #e2e8f0;border-radius:8px;padding:.5rem .9rem}.tile b{display:block;font-size:1.15rem}
.tile span{color:#64748b;font-size:.8rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(520px,1fr));gap:1rem}
.plots img{width:100%;border:1px solid #e2e8f0;border-radius:8px}
table{border-collapse:collapse;margin-top:1.2rem;width:100%;font-size:13px}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e2e8f0;white-space:nowrap}
.scroll{overflow-x:auto}
"""


def page(folder: str | os.PathLike[str], metric: str | None = None, mode: str | None = None) -> str:
    """The page of an experiment's directory, as HTML that needs no other file.

    Args:
        folder: The directory.
        metric: The metric; that of the search by default.
        mode: ``"min"`` or ``"max"``; that of the search by default.

    Raises:
        TuneError: It holds no experiment.
        ValueError: No metric or mode is known.
    """
    path = os.path.abspath(os.path.expanduser(folder))
    trials, config = trials_of(path)
    scheduler = config.scheduler
    metric = metric or config.metric or getattr(scheduler, "metric", None)
    mode = mode or config.mode or getattr(scheduler, "_mode", None)
    data = SearchData(trials, History(path), metric, mode)
    figures = [(kind, draw(data)) for kind, draw in KINDS.items()]
    images = "".join(f'<img alt="{kind}" src="data:image/png;base64,{_png(figure)}">' for kind, figure in figures)
    title = html.escape(os.path.basename(path))
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'</head><body><h1>{title}</h1><p class="sub">{html.escape(path)}, as of {now}</p>{_tiles(data)}'
        f'<div class="plots">{images}</div>{_table(data)}</body></html>'
    )


def _png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return base64.b64encode(buffer.getvalue()).decode()


def _tiles(data: SearchData) -> str:
    states = Counter(trial.status for trial in data.trials)
    tiles = [("trials", str(len(data.trials))), *((state.lower(), str(n)) for state, n in sorted(states.items()))]
    if data.best is not None:
        tiles.append((f"best {data.metric} ({data.mode})", f"{data.best.value:.6g}"))
    inner = "".join(f'<div class="tile"><b>{html.escape(v)}</b><span>{html.escape(k)}</span></div>' for k, v in tiles)
    return f'<div class="tiles">{inner}</div>'


def _table(data: SearchData) -> str:
    names = data.parameters()
    ranked = sorted(data.scored, key=lambda trial: trial.value, reverse=data.mode == "max")[:MAX_ROWS]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["trial", "status", data.metric, "reports", *names])
    rows = []
    for trial in ranked:
        values = [trial.name, trial.status, f"{trial.value:.6g}", len(trial.curve[0])]
        values += [_cell(trial.config.get(name, "")) for name in names]
        rows.append("<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in values) + "</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)[:60]
