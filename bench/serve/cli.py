"""The command line of `python -m bench.serve`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contender import DriverContender
from bench.result import Report
from bench.run import QUICK_TIMEOUT, TIMEOUT, add_arguments, exit_status, is_release, measure, parsed, say, write
from bench.serve.contender import ServerContender, launches
from bench.serve.plots import draw_latencies, draw_throughput
from bench.serve.subjects import all_subjects
from bench.serve.wrk import find_wrk
from bench.subject import FLOORS, OURS

__all__ = ("main", "parse_arguments")

PEERS = ("Granian", "LitServe")
NO_WRK = (
    "bench.serve: wrk is not installed, and nothing else here sends load fast enough: apt-get install wrk "
    "(Debian, Ubuntu), brew install wrk (macOS)"
)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ends the process with a message when it is wrong."""
    known = all_subjects()
    parser = argparse.ArgumentParser(
        prog="python -m bench.serve", description="Measure ray_async's Serve beside bare uvicorn and its peers."
    )
    add_arguments(parser, known)
    add = parser.add_argument
    add("--peers", default=",".join(PEERS), metavar="NAMES", help="peers, with commas (default all; none: '')")
    add("--throughput", type=Path, metavar="FILE", help="draw requests a second against connections")
    add("--latencies", type=Path, metavar="FILE", help="draw percentiles of latency")
    return parsed(parser, arguments, PEERS, known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite.

    Returns:
        0 when ray_async could be measured in every row (bars may be missed), 1 when not, 2 for a debug build or where
        there is no wrk.
    """
    options = parse_arguments(arguments)
    if options.load is not None:
        report = Report.joined([Report.from_json(path.read_text()) for path in options.load])
    elif find_wrk() is None:
        say(NO_WRK)
        return 2
    elif is_release("bench.serve"):
        report = _measure(options)
    else:
        return 2
    write(report, options, ((options.throughput, draw_throughput), (options.latencies, draw_latencies)))
    return exit_status(report)


def _measure(options: argparse.Namespace) -> Report:
    subjects = [subject for subject in all_subjects() if not options.only or subject.name in options.only]
    timeout = options.timeout or (QUICK_TIMEOUT if options.quick else TIMEOUT)
    wanted = {FLOORS, OURS, "Ray", *options.peers}
    found = launches(sys.executable, options.peer_python, options.ray_python)
    drivers = [DriverContender(launch, timeout) for launch in found if launch.name in wanted]
    return measure(subjects, [ServerContender(driver) for driver in drivers], options.rounds, options.quick)
