"""The command `dashboard`: it starts the dashboard of a node, and prints a link to it."""

from __future__ import annotations

import argparse
from typing import Any

from ray_async.cli.start_options import add_dashboard_place
from ray_async.config import ADDRESS, Settings
from ray_async.dashboard.launch import dashboard_at, start_dashboard
from ray_async.runtime.start import node_control

__all__ = ("add_dashboard_command", "show_dashboard")


def add_dashboard_command(commands: Any) -> None:
    """Add the command to those of `ray_async`."""
    parser = commands.add_parser("dashboard", help="start the dashboard, if need be, and print a link to it")
    parser.add_argument("--address", default=Settings().get(ADDRESS) or None, help="of the node, if there are several")
    add_dashboard_place(parser)
    parser.set_defaults(run=_dashboard)


def _dashboard(arguments: argparse.Namespace) -> int:
    entry = node_control.find_node(arguments.address or "auto")
    if entry is None:
        raise ConnectionError(f"No node is running {f'at {arguments.address}' if arguments.address else 'here'}.")
    show_dashboard(entry, arguments.dashboard_host, arguments.dashboard_port)
    return 0


def show_dashboard(entry: node_control.NodeEntry, host: str, port: int | None) -> None:
    """Print a link to the dashboard of a node, which is started if need be.

    Raises:
        DashboardError: it does not start, or does not answer.
    """
    found = dashboard_at(entry.session_dir) or start_dashboard(entry.address, entry.session_dir, host, port)
    print(f"View the dashboard at\n  {found.link()}\nThe link is good once: `ray_async dashboard` prints another.")
