"""The command line of `python -m bench.data`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contender import DriverContender
from bench.data.contender import PEERS, FilesContender, default_folder, launches
from bench.data.plots import draw_memory, draw_scaling
from bench.data.rows import shrunk
from bench.data.subjects import LARGE, all_subjects
from bench.data.tables import Tables
from bench.result import Report
from bench.run import QUICK_TIMEOUT, TIMEOUT, add_arguments, exit_status, is_release, measure, parsed, write
from bench.subject import OURS

__all__ = ("main", "parse_arguments")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ends the process with a message when it is wrong."""
    known = all_subjects()
    parser = argparse.ArgumentParser(
        prog="python -m bench.data",
        description="Measure ray_async's Data beside pandas, Polars, DuckDB, Daft and Dask.",
    )
    add_arguments(parser, known)
    add = parser.add_argument
    add("--peers", default=",".join(PEERS), metavar="NAMES", help="peers, with commas (default all; none: '')")
    add("--folder", type=Path, default=default_folder(), help="where the tables are kept (build/bench-data)")
    add("--share", type=float, default=1.0, metavar="F", help="take this share of all rows, bytes and files (0.1)")
    add("--large", action="store_true", help=f"also measure {', '.join(LARGE)}: 8 GB, minutes and 30 GB of disk")
    add("--scaling", type=Path, metavar="FILE", help="draw time against rows")
    add("--memory", type=Path, metavar="FILE", help="draw the peak memory")
    return parsed(parser, arguments, tuple(PEERS), known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite.

    Returns:
        0 when ray_async could be measured in every row (bars may be missed), 1 when not, 2 for a debug build.
    """
    options = parse_arguments(arguments)
    if options.load is not None:
        report = Report.joined([Report.from_json(path.read_text()) for path in options.load])
    elif is_release("bench.data"):
        report = _measure(options)
    else:
        return 2
    write(report, options, ((options.scaling, draw_scaling), (options.memory, draw_memory)))
    return exit_status(report)


def _measure(options: argparse.Namespace) -> Report:
    subjects = [
        shrunk(subject, options.share)
        for subject in all_subjects()
        if (not options.only or subject.name in options.only)
        and (options.large or options.quick or options.only or subject.name not in LARGE)
    ]
    timeout = options.timeout or (QUICK_TIMEOUT if options.quick else TIMEOUT)
    wanted = {OURS, "Ray", *options.peers}
    tables = Tables(options.folder)
    found = launches(sys.executable, options.peer_python, options.ray_python)
    drivers = [DriverContender(launch, timeout) for launch in found if launch.name in wanted]
    return measure(subjects, [FilesContender(driver, tables) for driver in drivers], options.rounds, options.quick)
