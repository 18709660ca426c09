"""The command `ray_async`: start, stop and look at the node of this machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from ray_async.cli.dashboard_command import add_dashboard_command, show_dashboard
from ray_async.cli.job_commands import add_job_commands
from ray_async.cli.start_options import add_start_options, given_options, ignored_options
from ray_async.cli.state_commands import add_state_commands
from ray_async.command_parser import CommandParser
from ray_async.config import ADDRESS, Settings
from ray_async.dashboard.launch import DashboardError
from ray_async.runtime.start import node_control

__all__ = ("main",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the words after the command's name; those of this process by default.

    Returns:
        The exit status: 0, or 1 when the command could not do what it was asked to.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] in (["serve"], ["tune"]):  # their own programs read their words, --help among them
        _library(words[0], words[1:])
    if words[:1] == ["microbenchmark"]:  # argparse would take the first of its options for one of its own
        return _microbenchmark(words[1:])
    arguments = _parser().parse(words)
    try:
        status: int = arguments.run(arguments)
    except (node_control.NodeStartError, DashboardError, OSError) as error:
        return _fail(str(error))
    return status


def _parser() -> CommandParser:
    parser = CommandParser(prog="ray_async", description="Start, stop and look inside nodes of ray_async.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument("--logging-level", help=argparse.SUPPRESS)
    parser.add_argument("--logging-format", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    start = commands.add_parser("start", help="start a node that drivers attach to", allow_abbrev=False)
    add_start_options(start)
    start.set_defaults(run=_start)

    stop = commands.add_parser("stop", help="end all nodes of this user on this machine")
    stop.add_argument("-f", "--force", action="store_true", help="kill them at once")
    stop.add_argument("-g", "--grace-period", type=float, default=16, help="seconds before they are killed")
    stop.set_defaults(run=_stop)

    status = commands.add_parser("status", help="show nodes, resources and what waits for them")
    status.add_argument("--address", default=Settings().get(ADDRESS) or None, help="of the node, if there are several")
    status.add_argument("-v", "--verbose", action="store_true", help="list each node's resources")
    status.set_defaults(run=_status)

    add_state_commands(commands)
    add_dashboard_command(commands)
    add_job_commands(commands)

    commands.add_parser("serve", help="deploy applications of Serve, and look at them", add_help=False)
    commands.add_parser("tune", help="look at experiments of Tune, and write pages of plots", add_help=False)

    commands.add_parser("microbenchmark", help="run the benchmark suite", add_help=False)
    return parser


class _Version(argparse.Action):
    """Shows the version; the package is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import ray_async

        print(f"ray_async, version {ray_async.__version__}")
        parser.exit()


def _start(arguments: argparse.Namespace) -> int:
    if arguments.address and (arguments.head or arguments.cluster):
        return _fail("--address joins the cluster of a head that runs already: leave out --head and --cluster.")
    if not arguments.address and not arguments.head:
        return _fail("Either --head or --address is needed: `ray_async start --head` starts a node on this machine.")
    if arguments.temp_dir:
        os.environ["RAY_ASYNC_TMPDIR"] = arguments.temp_dir
    if arguments.address or arguments.cluster:
        return _start_in_cluster(arguments)
    address = _choose_address(arguments)
    if node_control.find_node(address) is not None:
        return _fail(f"A node is already running at {address}. Use `ray_async stop`, or another --port.")
    for option in ignored_options(arguments):
        print(f"Note: {option} has no effect on a single machine.", file=sys.stderr)
    entry = node_control.start_head(given_options(arguments, address))
    print(_started_text(entry.address))
    if arguments.include_dashboard:
        try:
            show_dashboard(entry, arguments.dashboard_host, arguments.dashboard_port)
        except BaseException:
            node_control.stop_nodes(only=entry)
            raise
    return _block(entry) if arguments.block else 0


def _start_in_cluster(arguments: argparse.Namespace) -> int:
    from ray_async.cli.cluster_start import start_head_node, start_member_node

    for option in ignored_options(arguments):
        print(f"Note: {option} has no effect.", file=sys.stderr)
    try:
        entry, text = (start_member_node if arguments.address else start_head_node)(arguments)
    except ValueError as error:
        return _fail(str(error))
    print(text)
    return _block(entry) if arguments.block else 0


def _choose_address(arguments: argparse.Namespace) -> str:
    from ray_async.util.node_address import get_node_ip_address

    # No port is opened: the address is a name, by which the registry finds the node's socket.
    host = arguments.node_ip_address or get_node_ip_address()
    port = arguments.port
    if port == 0:
        taken = {entry.address for entry in node_control.find_nodes()}
        port = next(port for port in range(6380, 65536) if f"{host}:{port}" not in taken)
    return f"{host}:{port}"


def _started_text(address: str) -> str:
    rule = "-" * len("Ray runtime started.")
    return f"""Local node IP: {address.rpartition(":")[0]}

{rule}
Ray runtime started.
{rule}

Next steps
  To attach a program to this node, call
    ray_async.init(address='{address}')
  To look at it, run
    ray_async status --address='{address}'
  To end it, run
    ray_async stop"""


def _block(entry: node_control.NodeEntry) -> int:
    print("--block: this command ends with the node; Ctrl-C ends both.", flush=True)
    try:
        ended = node_control.wait_for_end(entry)
    except KeyboardInterrupt:
        node_control.stop_nodes(only=entry)
        return 0
    if ended:
        print("The node has ended.", file=sys.stderr)
    return 1


def _stop(arguments: argparse.Namespace) -> int:
    outcome = node_control.stop_nodes(force=arguments.force, grace_period_s=arguments.grace_period)
    if not outcome.found:
        print("Did not find any active Ray processes.")
    elif outcome.stopped == outcome.found:
        print(f"Stopped all {outcome.found} Ray processes.")
    else:
        print(f"Stopped only {outcome.stopped} out of {outcome.found} Ray processes within the grace period.")
        return 1
    return 0


def _status(arguments: argparse.Namespace) -> int:
    entries = node_control.find_nodes()
    if arguments.address:
        entries = [entry for entry in entries if entry.address == arguments.address]
    reports = [report for entry in entries if (report := _status_of(entry, arguments.verbose, len(entries) > 1))]
    if not reports:
        return _fail(
            f"No node is running at {arguments.address}."
            if arguments.address
            else "No node is running on this machine."
        )
    print("\n\n".join(reports))
    return 0


def _status_of(entry: node_control.NodeEntry, verbose: bool, titled: bool) -> str | None:
    """The report on one node; None if it has ended meanwhile.

    Args:
        entry: the node.
        verbose: whether each node's resources are listed.
        titled: whether the report begins with the address, and with whose node it is.
    """
    import ray_async as ray
    from ray_async.cli.status_report import format_status
    from ray_async.engine.current import get_session

    try:
        ray.init(address=entry.address, log_to_driver=False)
    except ConnectionError:
        return None
    try:
        demands = get_session().state.pending_demands()
        report = format_status(
            ray.nodes(), ray.cluster_resources(), ray.available_resources(), demands, verbose=verbose
        )
    finally:
        ray.shutdown()
    if not titled:
        return report
    owner = "started by command" if entry.public else f"of the program that called init(), node process {entry.pid}"
    return f"Node at {entry.address}, {owner}\n{report}"


def _library(name: str, words: Sequence[str]) -> NoReturn:
    # A library lies above this package's core: its command is a program of its own, which takes this one's place.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"ray_async.{name}", *words])


def _microbenchmark(words: Sequence[str]) -> int:
    import importlib.util

    if importlib.util.find_spec("bench") is None:
        return _fail("The benchmark suite is not part of the installed package: run this in a checkout of the sources.")
    return subprocess.run([sys.executable, "-m", "bench", *words], check=False).returncode


def _fail(message: str) -> int:
    print(f"ray_async: {message}", file=sys.stderr)
    return 1
