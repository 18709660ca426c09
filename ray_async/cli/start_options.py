"""The options of `ray_async start`: those that configure the node, and those that have no meaning on one machine."""

from __future__ import annotations

import argparse
from typing import Any

from ray_async.spec.node_options import NODE_OPTIONS, read_labels

__all__ = ("add_dashboard_place", "add_start_options", "given_options", "ignored_options")

DEFAULT_PORT = 6379

_HELP = {"node_ip_address": "the address to show for this node", "temp_dir": "where sessions are kept"}

# Accepted, so that commands written for a cluster of Ray's work, and answered with a note. The flags take no value.
_IGNORED = (
    "--object-manager-port",
    "--node-manager-port",
    "--min-worker-port",
    "--max-worker-port",
    "--worker-port-list",
    "--ray-client-server-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--runtime-env-agent-port",
    "--plasma-directory",
    "--autoscaling-config",
    "--metrics-export-port",
    "--include-log-monitor",
    "--system-reserved-cpu",
    "--system-reserved-memory",
    "--cgroup-path",
    "--proxy-server-url",
    "--tracing-startup-hook",
    "--redis-username",
    "--redis-password",
)
_IGNORED_FLAGS = (
    "--no-redirect-output",
    "--ray-debugger-external",
    "--enable-resource-isolation",
    "--enable-object-reconstruction",
    "--no-monitor",
)
# About the look of the output or about reports that are never sent: nothing is lost, so there is no note.
_UNNOTED_OPTIONS = ("--log-style", "--log-color")


def _labels_file(path: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as lines:
        stripped = [line.partition("#")[0].strip() for line in lines]
    return read_labels(",".join(line.replace(":", "=", 1) if "=" not in line else line for line in stripped if line))


def add_start_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `start` to its parser."""
    parser.add_argument("--head", action="store_true", help="start a node that drivers attach to")
    parser.add_argument("--address", help="join the cluster whose head is at host:port")
    parser.add_argument(
        "--cluster", action="store_true", help="with --head: open the port, for nodes of other machines"
    )
    parser.add_argument("--cluster-credentials", metavar="FILE", help="who has this file can join; --head makes it")
    parser.add_argument("--block", action="store_true", help="stay in the foreground until the node ends")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="the port in the head's address; 0 picks one")
    parser.add_argument("--labels-file", type=_labels_file, help="a file with a line `key: value` for each label")
    parser.add_argument("--disable-usage-stats", action="store_true", help="accepted: there are none")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    _add_dashboard_options(parser)
    for option in NODE_OPTIONS:
        if option.command is not None:
            parser.add_argument(option.command, type=option.read, help=_HELP.get(option.name))
    for ignored in (*_IGNORED, *_UNNOTED_OPTIONS):
        parser.add_argument(ignored, help=argparse.SUPPRESS)
    for ignored in _IGNORED_FLAGS:
        parser.add_argument(ignored, action="store_true", help=argparse.SUPPRESS)


def _add_dashboard_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--include-dashboard",
        type=_truth,
        nargs="?",
        const=True,
        default=False,
        metavar="true|false",
        help="start the dashboard too (see `ray_async dashboard`)",
    )
    add_dashboard_place(parser)


def add_dashboard_place(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the dashboard listens."""
    parser.add_argument("--dashboard-host", default="127.0.0.1", help="where the dashboard listens (127.0.0.1)")
    parser.add_argument("--dashboard-port", type=int, help="its port; the first that is free from 8265 on by default")


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")


def given_options(arguments: argparse.Namespace, address: str) -> dict[str, Any]:
    """Return the node's options by name, ready for JSON: what was given, and nothing else.

    The address that the command shows has the node's, so that it is not given twice.
    """
    config: dict[str, Any] = {"head": True, "address": address}
    for option in NODE_OPTIONS:
        value = getattr(arguments, option.name, None)
        if value is not None and option.name != "node_ip_address":
            config[option.name] = value
    if arguments.labels_file:
        config["labels"] = {**arguments.labels_file, **config.get("labels", {})}
    return config


def ignored_options(arguments: argparse.Namespace) -> list[str]:
    """Return the options that were given and have no effect."""
    return [option for option in (*_IGNORED, *_IGNORED_FLAGS) if getattr(arguments, _attribute(option))]


def _attribute(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
