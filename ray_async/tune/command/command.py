"""Command: lists trials and experiments, takes notes, and writes a page of plots."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ray_async.command_parser import CommandParser
from ray_async.tune.command.tables import experiment_rows, trial_rows, written
from ray_async.tune.error import TuneError

__all__ = ("main",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The words after its name; those of this process by default.

    Returns:
        The exit status: 0, or 1 when it could not do what it was asked to.
    """
    arguments = _parser().parse(argv)
    try:
        text = arguments.run(arguments)
    except (TuneError, ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    print(text)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(prog="ray_async tune", description="Look at experiments of Tune.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for names, text, run in (
        (("list-trials", "ls"), "list the trials of an experiment", _list_trials),
        (("list-experiments", "lsx"), "list the experiments in a directory", _list_experiments),
    ):
        listing = commands.add_parser(names[0], aliases=names[1:], help=text)
        listing.add_argument("path", help="the directory")
        listing.add_argument("--sort", help="columns to sort by, separated by commas")
        listing.add_argument("-o", "--output", help="file to write the table to, .csv or .pkl")
        listing.add_argument("--filter", dest="filter_op", help="which rows: '<column> <operator> <value>'")
        listing.add_argument("--columns", help="which columns, separated by commas")
        listing.add_argument("--limit", type=int, help="how many rows at most")
        listing.add_argument("--desc", nargs="?", const="true", default="false", help="the largest first")
        listing.set_defaults(run=run)
    note = commands.add_parser("add-note", help="write a note, of what comes in, beside an experiment")
    note.add_argument("path", help="the directory")
    note.add_argument("--filename", default="note.txt", help="name of the note's file")
    note.set_defaults(run=_add_note)
    plots = commands.add_parser("page", help="write a page of plots of an experiment that has ended or runs")
    plots.add_argument("path", help="the experiment's directory")
    plots.add_argument("-o", "--output", help="file to write; plots.html in the directory by default")
    plots.add_argument("--metric", help="the metric; that of the search by default")
    plots.add_argument("--mode", choices=("min", "max"), help="that of the search by default")
    plots.add_argument("--every", type=float, help="write it again each so many seconds, until Ctrl-C")
    plots.set_defaults(run=_page)
    return parser


def _list_trials(arguments: argparse.Namespace) -> str:
    return written(trial_rows(arguments.path), arguments)


def _list_experiments(arguments: argparse.Namespace) -> str:
    return written(experiment_rows(arguments.path), arguments)


def _add_note(arguments: argparse.Namespace) -> str:
    folder = Path(arguments.path).expanduser()
    if not folder.is_dir():
        raise OSError(f"there is no directory {folder}")
    with open(folder / arguments.filename, "a") as file:
        file.write(sys.stdin.read())
    return f"noted in {folder / arguments.filename}"


def _page(arguments: argparse.Namespace) -> str:
    from ray_async.tune.plots.page import page

    target = arguments.output or os.path.join(os.path.expanduser(arguments.path), "plots.html")
    while True:
        text = page(arguments.path, arguments.metric, arguments.mode)
        if arguments.every:
            text = text.replace("<head>", f'<head><meta http-equiv="refresh" content="{arguments.every:g}">', 1)
        with open(f"{target}.part", "w") as file:
            file.write(text)
        os.replace(f"{target}.part", target)
        if not arguments.every:
            return str(target)
        try:
            time.sleep(arguments.every)
        except KeyboardInterrupt:
            return str(target)
