"""A run: measures subjects with contenders, and writes what was found; shared by all command lines of the suite."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from bench.harness import Contender, run_subject
from bench.machine import describe_machine
from bench.release import DebugBuildError, check_release_build
from bench.result import Report, RowResult, evaluate
from bench.subject import FLOORS, Subject
from bench.table import render_table

__all__ = (
    "QUICK_TIMEOUT",
    "TIMEOUT",
    "Plot",
    "StartedContender",
    "add_arguments",
    "exit_status",
    "is_release",
    "measure",
    "parsed",
    "positive",
    "say",
    "write",
)

Plot = tuple[Path | None, Callable[[Report, Path], None]]
TIMEOUT, QUICK_TIMEOUT = 600.0, 90.0


class StartedContender(Contender, Protocol):
    """A contender that runs processes."""

    @property
    def version(self) -> str:
        """The version of what it drives."""

    @property
    def absent(self) -> str:
        """Why it cannot be measured at all; empty when it can."""

    def close(self) -> None:
        """End its processes."""


def add_arguments(parser: argparse.ArgumentParser, subjects: Sequence[Subject]) -> None:
    """Add the options that all command lines have."""
    names = ", ".join(subject.name for subject in subjects)
    parser.epilog = f"Subjects: {names}."
    add = parser.add_argument
    add("--only", metavar="SUBJECT", action="append", default=[], help="measure this subject; may be repeated")
    add("--rounds", type=positive, default=None, metavar="N", help="rounds of everything (default 5, quick: 1)")
    add("--quick", action="store_true", help="tiny sizes: shows that everything runs; the numbers mean nothing")
    add("--peer-python", default=sys.executable, metavar="PATH", help="interpreter that has the peers but Ray")
    add("--ray-python", default=None, metavar="PATH", help="interpreter that has Ray; Ray is measured only with this")
    add("--timeout", type=float, default=None, metavar="S", help="seconds that a case may take (600, quick: 90)")
    add("--load", type=Path, nargs="+", metavar="FILE", help="measure nothing; show the runs that --json wrote, as one")
    add("--json", type=Path, metavar="FILE", help="write all results as JSON")
    add("--table", action="store_true", help="print the table as Markdown")


def positive(text: str) -> int:
    """A count of the command line."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def parsed(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, peers: Sequence[str], known: Sequence[Subject]
) -> argparse.Namespace:
    """Parse a command line whose peers and subjects must be known; ends the process with a message where one is not."""
    options = parser.parse_args(arguments)
    options.peers = [name for name in options.peers.split(",") if name]
    unknown = [name for name in options.peers if name not in peers]
    unknown += [name for name in options.only if name not in {subject.name for subject in known}]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; peers are {', '.join(peers)}; {parser.epilog}")
    return options


def is_release(program: str) -> bool:
    """Whether ray_async may be measured; says why not, or that it is absent."""
    try:
        missing = check_release_build()
    except DebugBuildError as error:
        say(f"{program}: {error}")
        return False
    if missing is not None:
        say(f"{program}: ray_async cannot be imported ({missing}); its rows will say so")
    return True


def measure(
    subjects: Iterable[Subject], contenders: Sequence[StartedContender], rounds: int | None, quick: bool
) -> Report:
    """Measure all subjects; every subject begins with new processes.

    Args:
        subjects: what to measure.
        contenders: who takes part.
        rounds: how often everything is measured; None: five times, or once.
        quick: use the tiny sizes of a smoke run.
    """
    counted = rounds or (1 if quick else 5)
    rows: list[RowResult] = []
    for subject in subjects:
        rows += _measure_subject(subject, contenders, counted, quick)
    shown = [contender for contender in contenders if contender.name != FLOORS]
    return Report(
        machine=describe_machine(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        rounds=counted,
        quick=quick,
        versions={contender.name: contender.version for contender in shown if not contender.absent},
        absent={contender.name: contender.absent for contender in contenders if contender.absent},
        rows=rows,
    )


def _measure_subject(
    subject: Subject, contenders: Sequence[StartedContender], rounds: int, quick: bool
) -> list[RowResult]:
    try:
        plan, recording = run_subject(subject, contenders, rounds, quick, progress=say)
    finally:
        for contender in contenders:
            contender.close()
    names = [contender.name for contender in contenders if contender.name != FLOORS]
    rows = evaluate(subject, plan, recording, names, quick)
    for row in rows:
        verdict = row.verdict
        judged = "" if verdict is None else f"  [{verdict.text}: {_met(verdict.met)}]"
        say(f"  {row.name}: {', '.join(f'{name} {row.show(name)}' for name in row.costs)}{judged}")
    return rows


def _met(met: bool | None) -> str:
    return {True: "met", False: "NOT met", None: "not measured"}[met]


def say(line: str) -> None:
    """Tell whoever watches."""
    print(line, file=sys.stderr, flush=True)


def write(report: Report, options: argparse.Namespace, plots: Iterable[Plot]) -> None:
    """Write what the options ask for.

    Args:
        report: what was found.
        options: those of `add_arguments`.
        plots: files, or None, with what draws into them; a picture for which nothing was measured is left out.
    """
    for name, why in report.absent.items():
        say(f"bench: {name} was left out: {why.splitlines()[0]}")
    if options.json is not None:
        options.json.write_text(report.to_json())
    for path, draw in plots:
        if path is not None:
            try:
                draw(report, path)
            except ValueError as error:
                say(f"bench: no picture: {error}")
    if options.table:
        print(render_table(report))


def exit_status(report: Report) -> int:
    """0 when ray_async could be measured in every row (bars may be missed), else 1; says which failed."""
    failures = report.failures()
    for line in failures:
        say(f"bench: ray_async failed: {line}")
    return 1 if failures else 0
