"""The command line of `python -m bench.tune`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.tune.bars_plot import draw
from bench.tune.rows import ROWS, Row

__all__ = ("main",)

OURS = "ray_async"
ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300
RESULTS = ROOT / "build" / "bench-tune.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows, each contender in a process of its own, and print a table.

    Returns:
        0 when ray_async could be measured in every row (bars may be missed), else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.tune", description="Measure ray_async's Tune.")
    parser.add_argument("--only", default="", metavar="ROWS", help="rows, with commas (default all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of each size")
    parser.add_argument("--ray-python", metavar="PATH", help="an interpreter that has Ray Tune")
    parser.add_argument("--draw", metavar="FILE", help="draw what the last runs have measured, and measure nothing")
    options = parser.parse_args(arguments)
    if options.draw:
        draw(_kept(), options.draw)
        return 0
    wanted = set(options.only.split(",")) if options.only else {row.name for row in ROWS}
    failed = False
    for row in ROWS:
        if row.name in wanted:
            failed |= not _show(row, 10 if options.quick else 1, options.ray_python)
    return int(failed)


def _show(row: Row, part: int, ray_python: str | None) -> bool:
    size = max(row.size // part, 2)
    seen = {name: _measured(sys.executable, row.name, name, size) for name in (OURS, *row.peers)}
    if ray_python and row.ray_size:
        seen["ray"] = _measured(ray_python, row.name, "ray", row.ray_size)
    _keep(row.name, {name: values for name, values in seen.items() if values is not None})
    print(f"{row.name} ({size})", flush=True)
    for name, values in seen.items():
        shown = "failed" if values is None else "  ".join(f"{key} {value:,.4g}" for key, value in values.items())
        print(f"  {name:10} {shown}", flush=True)
    ours = seen[OURS]
    if ours is None:
        return False
    for bar in row.bars:
        reference = (seen.get(bar.of) or {}).get(bar.value, 1.0) if bar.of else 1.0
        met = "reached" if bar.is_met(ours[bar.value], reference) else "missed"
        sign = "<=" if bar.at_most else ">="
        print(f"  bar        {bar.value} {sign} {bar.limit:g}{f' of {bar.of}' if bar.of else ''}: {met}", flush=True)
    return True


def _kept() -> dict[str, dict[str, dict[str, float]]]:
    """What was measured so far, by row and contender."""
    found: dict[str, dict[str, dict[str, float]]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def _keep(row: str, seen: dict[str, dict[str, float]]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**_kept(), row: seen}, indent=1))


def _measured(python: str, row: str, package: str, size: int) -> dict[str, float] | None:
    command = [python, "-m", "bench.drivers.tune_search", row, package, str(size)]
    # Compiled modules are kept, as they are where a package is installed.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
