"""The options of `ray_async start`: those that configure the node, and those that have no meaning on one machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

__all__ = ("add_start_options", "ignored_options", "node_config")

DEFAULT_PORT = 6379

# Accepted, so that commands written for a cluster of Ray's work, and answered with a note. The flags take no value.
_IGNORED = (
    "--object-manager-port",
    "--node-manager-port",
    "--min-worker-port",
    "--max-worker-port",
    "--worker-port-list",
    "--ray-client-server-port",
    "--include-dashboard",
    "--dashboard-host",
    "--dashboard-port",
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
_SILENT = ("--log-style", "--log-color")


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def _resources(text: str) -> dict[str, float]:
    resources = _json_object(text)
    if not all(isinstance(amount, int | float) and amount >= 0 for amount in resources.values()):
        raise ValueError(text)
    return resources


def _labels(text: str) -> dict[str, str]:
    """Labels as ``key=value,...`` or as an object of JSON."""
    text = text.strip().strip('"')
    if text.startswith("{"):
        labels = _json_object(text)
    else:
        pairs = [pair.partition("=") for pair in text.split(",") if pair]
        if not all(key and separator for key, separator, _ in pairs):
            raise argparse.ArgumentTypeError(f"Label string is not a key-value pair. It is {text!r}.")
        labels = {key.strip(): value.strip() for key, _, value in pairs}
    for key, value in labels.items():
        if not isinstance(value, str) or key.startswith("ray.io/"):
            why = "ray.io/ is not for labels of one's own" if key.startswith("ray.io/") else "values are strings"
            raise argparse.ArgumentTypeError(f"Label string is not a key-value pair. {key}: {why}.")
    return labels


def _labels_file(path: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as lines:
        stripped = [line.partition("#")[0].strip() for line in lines]
    return _labels(",".join(line.replace(":", "=", 1) if "=" not in line else line for line in stripped if line))


def _count(text: str) -> float:
    amount = float(text)
    if not 0 <= amount < float("inf"):
        raise ValueError(text)
    return amount


# option, type, the node's configuration key
_CONFIGURING: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("--num-cpus", _count, "num_cpus"),
    ("--num-gpus", _count, "num_gpus"),
    ("--memory", int, "memory"),
    ("--object-store-memory", int, "object_store_memory"),
    ("--resources", _resources, "resources"),
    ("--labels", _labels, "labels"),
    ("--node-name", str, "node_name"),
    ("--object-spilling-directory", str, "object_spilling_directory"),
    ("--system-config", _json_object, "system_config"),
)


def add_start_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `start` to its parser."""
    parser.add_argument("--head", action="store_true", help="start a node that drivers attach to")
    parser.add_argument("--address", help="join the cluster at host:port (not available on one machine)")
    parser.add_argument("--block", action="store_true", help="stay in the foreground until the node ends")
    parser.add_argument("--node-ip-address", help="the address to show for this node")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="the port in the node's address; 0 picks one")
    parser.add_argument("--temp-dir", help="where sessions are kept")
    parser.add_argument("--labels-file", type=_labels_file, help="a file with a line `key: value` for each label")
    parser.add_argument("--disable-usage-stats", action="store_true", help="accepted: there are none")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    for option, convert, _ in _CONFIGURING:
        parser.add_argument(option, type=convert)
    for option in _IGNORED:
        parser.add_argument(option, help=argparse.SUPPRESS)
    for option in _IGNORED_FLAGS:
        parser.add_argument(option, action="store_true", help=argparse.SUPPRESS)
    for option in _SILENT:
        parser.add_argument(option, help=argparse.SUPPRESS)


def node_config(arguments: argparse.Namespace, address: str) -> dict[str, Any]:
    """Return the node's configuration, ready for JSON: what was given, and nothing else."""
    config: dict[str, Any] = {"head": True, "address": address}
    for option, _, key in _CONFIGURING:
        value = getattr(arguments, _attribute(option))
        if value is not None:
            config[key] = value
    if arguments.labels_file:
        config["labels"] = {**arguments.labels_file, **config.get("labels", {})}
    if arguments.temp_dir:
        config["temp_dir"] = arguments.temp_dir
    return config


def ignored_options(arguments: argparse.Namespace) -> list[str]:
    """Return the options that were given and have no effect."""
    return [option for option in (*_IGNORED, *_IGNORED_FLAGS) if getattr(arguments, _attribute(option))]


def _attribute(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
