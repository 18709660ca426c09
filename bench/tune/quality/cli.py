"""The command line of `python -m bench.tune.quality`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import ray_async as ray
from bench.tune.quality import population, stopping
from bench.tune.quality.bands import Band, band, best_so_far, paired
from bench.tune.quality.picture import Panel, draw
from bench.tune.quality.problems import PROBLEMS, Problem

__all__ = ("main",)

SEEDS, TRIALS = 10, 150
# Whole trials whose iterations a search may spend.
WHOLE = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all contenders on all problems, print how far each gets, and draw the curves.

    Returns:
        0 when each of our schedulers gets as far as its reference: the 95 % interval of the difference by seed
        reaches 0, or lies on our side; else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.tune.quality", description=str(main.__doc__).split("\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many ({SEEDS})")
    parser.add_argument("--only", default="", help="problems, with commas (default all)")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="where pictures go")
    options = parser.parse_args(arguments)
    names = [problem.name for problem in PROBLEMS]
    wanted = options.only.split(",") if options.only else [*names, "pbt"]
    worse = 0
    chosen = [problem for problem in PROBLEMS if problem.name in wanted]
    preload = [module for problem in chosen for module in problem.modules]
    session = ray.init(num_cpus=4, log_to_driver=False, include_dashboard=False, preload=preload)
    with tempfile.TemporaryDirectory() as storage, session:
        panels: list[Panel] = []
        for problem in chosen:
            found, bad = _stopping(problem, min(options.seeds, problem.seeds), storage)
            panels += found
            worse += bad
        if panels and options.plots:
            title = "Best so far: mean over seeds with its 95 % confidence band"
            draw(panels, 3, title, str(options.plots / "tune_quality.png"))
        if "pbt" in wanted:
            bands, bad = _population(options.seeds, storage)
            worse += bad
            if options.plots:
                title = "The PBT paper's example: best value of a population of 4"
                panel: Panel = (f"{options.seeds} seeds", "steps", "1.2 - t0² - t1²", bands, False)
                draw([panel], 1, title, str(options.plots / "tune_quality_pbt.png"))
    return int(worse > 0)


def _stopping(problem: Problem, seeds: int, storage: str) -> tuple[list[Panel], int]:
    budget = WHOLE * problem.max_t
    ends: dict[str, list[float]] = {}
    bands: dict[str, dict[str, Band]] = {}
    for family, contenders in stopping.CONTENDERS.items():
        for name, run in contenders.items():
            trials = WHOLE if family == "none" else TRIALS
            curves = [
                [value - problem.lowest for value in best_so_far(run(problem, seed, trials, storage), budget)]
                for seed in range(seeds)
            ]
            ends[name] = [curve[-1] for curve in curves]
            bands.setdefault(family, {})[name] = band(curves)
            print(f"{problem.name:<10} {name:<34} {sum(ends[name]) / seeds:10.4g}", flush=True)
    panels: list[Panel] = []
    worse = 0
    for family in (family for family in bands if family != "none"):
        panels.append(
            (
                f"{problem.name}, {seeds} seeds: {family}",
                "iterations in all",
                problem.label,
                bands[family] | bands["none"],
                True,
            )
        )
        ours, reference = (ends[name] for name in stopping.CONTENDERS[family])
        worse += _verdict(f"{problem.name} {family}", ours, reference, larger_is_better=False)
    return panels, worse


def _population(seeds: int, storage: str) -> tuple[Mapping[str, Band], int]:
    curves = {name: [run(seed, storage) for seed in range(seeds)] for name, run in population.CONTENDERS.items()}
    for name, found in curves.items():
        print(f"{'pbt':<10} {name:<34} {sum(curve[-1] for curve in found) / seeds:10.4g}", flush=True)
    ours, reference, _ = ([curve[-1] for curve in found] for found in curves.values())
    return {name: band(found) for name, found in curves.items()}, _verdict("pbt", ours, reference, True)


def _verdict(what: str, ours: Sequence[float], reference: Sequence[float], larger_is_better: bool) -> bool:
    """Print the difference from the reference, and tell whether ours is worse."""
    mean, low, high = paired(ours, reference)
    worse = high < 0 if larger_is_better else low > 0
    print(f"{what}: {mean:+.4g} [{low:+.4g}, {high:+.4g}] {'worse' if worse else 'not worse'}", flush=True)
    return worse
