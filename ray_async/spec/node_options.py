"""Options of a node: one row for each, with its name wherever a node is started.

The field of `InitOptions` has an option's name, and so has the JSON that a node started by command reads. A new option
begins with a row here; tests name what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ("NODE_OPTIONS", "NodeOption", "read_labels")


class NodeOption(NamedTuple):
    """An option of a node that is started.

    Args:
        name: Its name: a field of `InitOptions`.
        init: The keyword of ``init``.
        command: The option of ``ray_async start``; None where it has none.
        read: Makes its value of the words of the command line.
        refused: Whether ``init`` refuses it where a running node is attached to; else it is noted, and without effect.
    """

    name: str
    init: str
    command: str | None
    read: Callable[[str], Any] = str
    refused: bool = False


def _read_object(text: str) -> dict[str, Any]:
    """An object of JSON; ValueError for anything else."""
    import json  # most programs start nodes without a command

    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def _read_quantities(text: str) -> dict[str, float]:
    """Quantities by resource, as an object of JSON."""
    quantities = _read_object(text)
    if not all(isinstance(amount, int | float) and amount >= 0 for amount in quantities.values()):
        raise ValueError(text)
    return quantities


def _read_quantity(text: str) -> float:
    """A quantity."""
    amount = float(text)
    if not 0 <= amount < float("inf"):
        raise ValueError(text)
    return amount


def read_labels(text: str) -> dict[str, str]:
    """Labels as ``key=value,...`` or as an object of JSON."""
    text = text.strip().strip('"')
    if text.startswith("{"):
        labels = _read_object(text)
    else:
        pairs = [pair.partition("=") for pair in text.split(",") if pair]
        if not all(key and separator for key, separator, _ in pairs):
            raise _refused_label(f"It is {text!r}.")
        labels = {key.strip(): value.strip() for key, _, value in pairs}
    for key, value in labels.items():
        if not isinstance(value, str) or key.startswith("ray.io/"):
            why = "ray.io/ is not for labels of one's own" if key.startswith("ray.io/") else "values are strings"
            raise _refused_label(f"{key}: {why}.")
    return labels


def _refused_label(why: str) -> Exception:
    from argparse import ArgumentTypeError  # its text is what the command shows

    return ArgumentTypeError(f"Label string is not a key-value pair. {why}")


NODE_OPTIONS = (
    NodeOption("num_cpus", "num_cpus", "--num-cpus", _read_quantity, refused=True),
    NodeOption("num_gpus", "num_gpus", "--num-gpus", _read_quantity, refused=True),
    NodeOption("memory", "_memory", "--memory", int),
    NodeOption("object_store_memory", "object_store_memory", "--object-store-memory", int, refused=True),
    NodeOption("resources", "resources", "--resources", _read_quantities, refused=True),
    NodeOption("labels", "labels", "--labels", read_labels, refused=True),
    NodeOption("node_name", "_node_name", "--node-name", refused=True),
    NodeOption("node_ip_address", "_node_ip_address", "--node-ip-address"),
    NodeOption("object_spilling_directory", "object_spilling_directory", "--object-spilling-directory"),
    NodeOption("system_config", "_system_config", "--system-config", _read_object, refused=True),
    NodeOption("temp_dir", "_temp_dir", "--temp-dir", lambda text: text or None),
    NodeOption("preload", "preload", None),
)
