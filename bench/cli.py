"""The command line of `python -m bench`."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contender import DriverContender, launches
from bench.harness import run_subject
from bench.idiom_plot import draw_idioms
from bench.machine import describe_machine
from bench.plot import draw_plot
from bench.readme import update_document
from bench.release import DebugBuildError, check_release_build
from bench.result import Report, RowResult, evaluate
from bench.subject import FLOORS, OURS, Subject
from bench.subjects import all_subjects
from bench.table import render_table

__all__ = ("main", "parse_arguments")

PEERS = ("ProcessPoolExecutor", "loky", "Dask", "xoscar")
TIMEOUT, QUICK_TIMEOUT = 600.0, 90.0


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ends the process with a message when it is wrong."""
    subjects = ", ".join(subject.name for subject in all_subjects())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure ray_async beside its floors and its peers.",
        epilog=f"Subjects: {subjects}.",
    )
    add = parser.add_argument
    add("--only", metavar="SUBJECT", action="append", default=[], help="measure this subject; may be repeated")
    add("--rounds", type=_positive, default=None, metavar="N", help="rounds of everything (default 5, quick: 1)")
    add("--quick", action="store_true", help="tiny sizes: shows that everything runs; the numbers mean nothing")
    add(
        "--peers",
        default=",".join(PEERS),
        metavar="NAMES",
        help="peers to measure, with commas (default all; none: '')",
    )
    add("--peer-python", default=sys.executable, metavar="PATH", help="interpreter that has loky, Dask and xoscar")
    add("--ray-python", default=None, metavar="PATH", help="interpreter that has Ray; Ray is measured only with this")
    add(
        "--timeout",
        type=float,
        default=None,
        metavar="S",
        help="seconds that one case may take (default 600, quick: 90)",
    )
    add("--load", type=Path, nargs="+", metavar="FILE", help="measure nothing; show the runs that --json wrote, as one")
    add("--json", type=Path, metavar="FILE", help="write all results as JSON")
    add("--plot", type=Path, metavar="FILE", help="draw ray_async and its peers against the bars")
    add("--idioms", type=Path, metavar="FILE", help="draw the rates of asyncio's idioms beside plain asyncio")
    add("--table", action="store_true", help="print the table as Markdown")
    add("--update-readme", type=Path, metavar="FILE", help="put the table between the markers of this document")
    options = parser.parse_args(arguments)
    options.peers = [name for name in options.peers.split(",") if name]
    unknown = [name for name in options.peers if name not in PEERS]
    unknown += [name for name in options.only if name not in {subject.name for subject in all_subjects()}]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; peers are {', '.join(PEERS)}; subjects are {subjects}")
    return options


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite.

    Returns:
        0 when ray_async could be measured in every row (bars may be missed), 1 when not, 2 for a debug build.
    """
    options = parse_arguments(arguments)
    if options.load is not None:
        report = Report.joined([Report.from_json(path.read_text()) for path in options.load])
    else:
        try:
            missing = check_release_build()
        except DebugBuildError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
        if missing is not None:
            print(f"bench: ray_async cannot be imported ({missing}); its rows will say so", file=sys.stderr)
        report = _measure(options)
    _write(report, options)
    failures = report.failures()
    for line in failures:
        print(f"bench: ray_async failed: {line}", file=sys.stderr)
    return 1 if failures else 0


def _measure(options: argparse.Namespace) -> Report:
    subjects = [subject for subject in all_subjects() if not options.only or subject.name in options.only]
    rounds = options.rounds or (1 if options.quick else 5)
    timeout = options.timeout or (QUICK_TIMEOUT if options.quick else TIMEOUT)
    wanted = {FLOORS, OURS, "Ray", *options.peers}
    chosen = [launch for launch in launches(options.peer_python, options.ray_python) if launch.name in wanted]
    contenders = [DriverContender(launch, timeout) for launch in chosen]
    rows: list[RowResult] = []
    for subject in subjects:
        rows += _measure_subject(subject, contenders, rounds, options.quick)
    shown = [contender for contender in contenders if contender.name != FLOORS]
    return Report(
        machine=describe_machine(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        rounds=rounds,
        quick=options.quick,
        versions={contender.name: contender.version for contender in shown if not contender.absent},
        absent={contender.name: contender.absent for contender in contenders if contender.absent},
        rows=rows,
    )


def _measure_subject(
    subject: Subject, contenders: Sequence[DriverContender], rounds: int, quick: bool
) -> list[RowResult]:
    """Measure one subject; every subject begins with new driver processes."""
    try:
        plan, recording = run_subject(subject, contenders, rounds, quick, progress=_say)
    finally:
        for contender in contenders:
            contender.close()
    names = [contender.name for contender in contenders if contender.name != FLOORS]
    rows = evaluate(subject, plan, recording, names, quick)
    for row in rows:
        verdict = row.verdict
        judged = "" if verdict is None else f"  [{verdict.text}: {_met(verdict.met)}]"
        _say(f"  {row.name}: {', '.join(f'{name} {row.show(name)}' for name in row.costs)}{judged}")
    return rows


def _met(met: bool | None) -> str:
    return {True: "met", False: "NOT met", None: "not measured"}[met]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(report: Report, options: argparse.Namespace) -> None:
    for name, why in report.absent.items():
        _say(f"bench: {name} was left out: {why.splitlines()[0]}")
    if options.json is not None:
        options.json.write_text(report.to_json())
    for path, draw in ((options.plot, draw_plot), (options.idioms, draw_idioms)):
        if path is not None:
            try:
                draw(report, path)
            except ValueError as error:
                _say(f"bench: no picture: {error}")
    if options.update_readme is not None:
        update_document(options.update_readme, render_table(report))
    if options.table:
        print(render_table(report))
