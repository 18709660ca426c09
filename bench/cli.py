"""The command line of `python -m bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.contender import DriverContender, launches
from bench.idiom_plot import draw_idioms
from bench.plot import draw_plot
from bench.readme import update_document
from bench.result import Report
from bench.run import QUICK_TIMEOUT, TIMEOUT, add_arguments, exit_status, is_release, measure, parsed, write
from bench.subject import FLOORS, OURS
from bench.subjects import all_subjects
from bench.table import render_table

__all__ = ("main", "parse_arguments")

PEERS = ("ProcessPoolExecutor", "loky", "Dask", "xoscar")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ends the process with a message when it is wrong."""
    known = all_subjects()
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure ray_async beside its floors and its peers."
    )
    add_arguments(parser, known)
    add = parser.add_argument
    add(
        "--peers",
        default=",".join(PEERS),
        metavar="NAMES",
        help="peers to measure, with commas (default all; none: '')",
    )
    add("--plot", type=Path, metavar="FILE", help="draw ray_async and its peers against the bars")
    add("--idioms", type=Path, metavar="FILE", help="draw the rates of asyncio's idioms beside plain asyncio")
    add(
        "--update-readme",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="put the table between the markers of these documents",
    )
    return parsed(parser, arguments, PEERS, known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite.

    Returns:
        0 when ray_async could be measured in every row (bars may be missed), 1 when not, 2 for a debug build.
    """
    options = parse_arguments(arguments)
    if options.load is not None:
        report = Report.joined([Report.from_json(path.read_text()) for path in options.load])
    elif is_release("bench"):
        report = _measure(options)
    else:
        return 2
    write(report, options, ((options.plot, draw_plot), (options.idioms, draw_idioms)))
    for document in options.update_readme or ():
        update_document(document, lambda rows: render_table(report, rows))
    return exit_status(report)


def _measure(options: argparse.Namespace) -> Report:
    subjects = [subject for subject in all_subjects() if not options.only or subject.name in options.only]
    timeout = options.timeout or (QUICK_TIMEOUT if options.quick else TIMEOUT)
    wanted = {FLOORS, OURS, "Ray", *options.peers}
    chosen = [launch for launch in launches(options.peer_python, options.ray_python) if launch.name in wanted]
    contenders = [DriverContender(launch, timeout) for launch in chosen]
    return measure(subjects, contenders, options.rounds, options.quick)
