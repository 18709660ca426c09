"""The commands that look inside a node: list, get, summary, memory, timeline and stack; and kill-actor."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ray_async.cli.output import FORMATS, render, table
from ray_async.config import ADDRESS, Settings
from ray_async.runtime.start import node_control
from ray_async.suggestion import did_you_mean

__all__ = ("add_state_commands",)

_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


class _Kind(NamedTuple):
    """What can be listed.

    Attributes:
        function: The end of the name of its functions in `ray_async.util.state`.
        key: The field that identifies a row.
        columns: Fields that a table shows where no details are wanted.
    """

    function: str
    key: str
    columns: tuple[str, ...]


_KINDS = {
    "actors": _Kind(
        "actors", "actor_id", ("actor_id", "class_name", "state", "name", "pid", "num_restarts", "death_cause")
    ),
    "nodes": _Kind("nodes", "node_id", ("node_id", "node_ip", "is_head_node", "state", "node_name", "state_message")),
    "objects": _Kind("objects", "object_id", ("object_id", "object_size", "reference_count", "task_status")),
    "placement-groups": _Kind(
        "placement_groups", "placement_group_id", ("placement_group_id", "name", "state", "strategy")
    ),
    "tasks": _Kind(
        "tasks", "task_id", ("task_id", "name", "state", "type", "attempt_number", "worker_pid", "error_message")
    ),
    "workers": _Kind("workers", "worker_id", ("worker_id", "is_alive", "pid", "exit_type", "exit_detail")),
}


class CommandError(Exception):
    """A command that cannot do what it was asked to; the message says why."""


def add_state_commands(commands: Any) -> None:
    """Add the commands to those of `ray_async`."""
    found = _add(commands, "list", _list, "list actors, nodes, objects, placement-groups, tasks or workers")
    found.add_argument("kind", choices=_KINDS, metavar="RESOURCE", help=", ".join(_KINDS))
    text = "only rows whose field has that value; KEY!=VALUE: another one; may be repeated"
    found.add_argument("-f", "--filter", action="append", default=[], type=_filter, metavar="KEY=VALUE", help=text)
    found.add_argument("--limit", type=int, default=100, help="most rows (100)")
    found.add_argument("--offset", type=int, default=0, help="rows to leave out before the first")
    found.add_argument("--detail", action="store_true", help="all fields")
    _add_format(found)
    found.add_argument("--watch", nargs="?", type=float, const=2.0, metavar="SECONDS", help="show it again and again")

    one = _add(commands, "get", _get, "show everything about one thing")
    one.add_argument("kind", choices=_KINDS, metavar="RESOURCE", help=", ".join(_KINDS))
    one.add_argument("id", help="its id in hexadecimal digits")
    _add_format(one, default="yaml" if _has_yaml() else "json")

    counts = _add(commands, "summary", _summary, "count tasks by function, or actors by class, and their states")
    counts.add_argument(
        "kind", choices=("tasks", "actors", "objects"), metavar="RESOURCE", help="tasks, actors, objects"
    )
    _add_format(counts)

    memory = _add(commands, "memory", _memory, "show what is in the object store")
    memory.add_argument("--units", choices=_UNITS, default="B", help="of sizes")
    memory.add_argument("--num-entries", "-n", type=int, default=100, help="most objects (100), the largest first")
    memory.add_argument("--stats-only", action="store_true", help="sums only")

    timeline = _add(commands, "timeline", _timeline, "write times of tasks as a trace that Chrome and Perfetto show")
    timeline.add_argument("--output", help="the file; by default ray-timeline-<time>.json here")

    stack = _add(commands, "stack", _stack, "show the Python stacks of the node's processes, or of one")
    stack.add_argument("--pid", type=int, help="that process only")

    kill = _add(commands, "kill-actor", _kill_actor, "end a named actor")
    kill.add_argument("--name", required=True)
    kill.add_argument("--namespace", default="", help="the actor's namespace")
    kill.add_argument("--force", action="store_true", help="at once, in place of after the calls that wait")
    kill.add_argument("--no-restart", action="store_true", help="also if max_restarts would start it again")


def _add(commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, allow_abbrev=False)
    parser.add_argument("--address", default=Settings().get(ADDRESS) or None, help="of the node, if there are several")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for an answer (30)")
    parser.set_defaults(run=lambda arguments: _guarded(run, arguments))
    return parser


def _add_format(parser: argparse.ArgumentParser, default: str = "table") -> None:
    parser.add_argument("--format", choices=FORMATS, default=default, help=f"{', '.join(FORMATS)} ({default})")


def _guarded(run: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    from ray_async.util.state import RayStateApiException

    try:
        if arguments.timeout <= 0:
            raise CommandError(f"--timeout must be positive, but is {arguments.timeout:g}")
        arguments.node = node_control.find_node(arguments.address or "auto")
        if arguments.node is None:
            where = f"at {arguments.address}" if arguments.address else "on this machine"
            raise CommandError(f"No node is running {where}.")
        run(arguments)
    except (CommandError, RayStateApiException, ImportError) as error:
        print(f"ray_async: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def _filter(text: str) -> tuple[str, str, str]:
    key, mark, value = text.partition("=")
    predicate = "!=" if key.endswith("!") else "="
    key = key.removesuffix("!").strip()
    if not mark or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is neither KEY=VALUE nor KEY!=VALUE")
    return key, predicate, value.strip()


def _rows(arguments: argparse.Namespace, kind: _Kind, filters: Sequence[Any], limit: int, offset: int = 0) -> list[Any]:
    from ray_async.util import state

    ask = getattr(state, f"list_{kind.function}")
    rows: list[Any] = ask(arguments.node.address, filters, limit, arguments.timeout, offset=offset)
    return rows


def _list(arguments: argparse.Namespace) -> None:
    kind = _KINDS[arguments.kind]
    known = next(iter(_rows(arguments, kind, (), 1)), None)
    for key, _, _ in arguments.filter:
        if known is not None and key.lower() not in known:
            raise CommandError(f"{arguments.kind} have no field {key!r}.{did_you_mean(key.lower(), known)}")
    if arguments.watch is not None and arguments.watch <= 0:
        raise CommandError(f"--watch must be positive, but is {arguments.watch:g}")
    while True:
        rows = _rows(arguments, kind, arguments.filter, arguments.limit, arguments.offset)
        if arguments.watch is not None and sys.stdout.isatty():
            print("\x1b[H\x1b[2J", end="")
        print(render(rows, arguments.format, () if arguments.detail else kind.columns), flush=True)
        if len(rows) == arguments.limit and arguments.format == "table":
            print(f"There may be more: --offset {arguments.offset + len(rows)} shows them.", file=sys.stderr)
        if arguments.watch is None:
            return
        time.sleep(arguments.watch)


def _get(arguments: argparse.Namespace) -> None:
    kind = _KINDS[arguments.kind]
    rows = _rows(arguments, kind, [(kind.key, "=", arguments.id)], 1)
    if not rows:
        ids = [str(row[kind.key]) for row in _rows(arguments, kind, (), 1000)]
        near = did_you_mean(arguments.id, ids)
        raise CommandError(f"There is no {kind.key} {arguments.id!r} among {arguments.kind}.{near}")
    if arguments.format == "table":
        print(table([{"field": key, "value": value} for key, value in rows[0].items()], ("field", "value")))
    else:
        print(render(rows, arguments.format))


def _summary(arguments: argparse.Namespace) -> None:
    from ray_async.util import state

    if arguments.kind == "objects":
        rows = _rows(arguments, _KINDS["objects"], (), 10_000)
        print(render([{"objects": len(rows), "bytes": sum(row["object_size"] for row in rows)}], arguments.format))
        return
    ask = state.summarize_tasks if arguments.kind == "tasks" else state.summarize_actors
    found: Mapping[str, Any] = ask(arguments.node.address, arguments.timeout)["cluster"]
    rows = [{"name": name, **entry["state_counts"]} for name, entry in sorted(found["summary"].items())]
    print(render(rows, arguments.format, () if rows else ("name",)))


def _memory(arguments: argparse.Namespace) -> None:
    rows = [dict(row) for row in _rows(arguments, _KINDS["objects"], (), 10_000)]
    unit = _UNITS[arguments.units]
    total = sum(row["object_size"] for row in rows)
    if not arguments.stats_only:
        rows.sort(key=lambda row: -row["object_size"])
        shown = [{**row, "size": _size(row["object_size"], unit)} for row in rows[: max(0, arguments.num_entries)]]
        print(table(shown, ("object_id", "size", "reference_count")))
    print(f"{len(rows)} objects, {_size(total, unit)} {arguments.units}")


def _size(size: int, unit: int) -> str:
    return f"{size}" if unit == 1 else f"{size / unit:.2f}"


def _timeline(arguments: argparse.Namespace) -> None:
    import json

    from ray_async.engine.registry import get_engine
    from ray_async.exceptions import RayError

    try:
        events = get_engine().state_at(arguments.node.address).timeline()
    except (ConnectionError, RayError) as error:
        raise CommandError(str(error)) from error
    path = arguments.output or f"ray-timeline-{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(events, file)
    print(f"{len(events)} events are in {path}: open it in https://ui.perfetto.dev or chrome://tracing.")


def _stack(arguments: argparse.Namespace) -> None:
    workers = _rows(arguments, _KINDS["workers"], [("is_alive", "=", True)], 10_000)
    names = {arguments.node.pid: "node", **{row["pid"]: "worker" for row in workers}}
    if arguments.pid is not None and arguments.pid not in names:
        near = did_you_mean(str(arguments.pid), map(str, names))
        raise CommandError(f"Process {arguments.pid} is neither the node nor one of its workers.{near}")
    failures = 0
    for pid, name in names.items():
        if arguments.pid in (None, pid):
            try:
                text = _stack_of(pid, arguments.node.session_dir)
            except (OSError, subprocess.SubprocessError) as error:
                text, failures = f"  its stack cannot be read: {error}", failures + 1
            print(f"Process {pid} ({name})\n{text.rstrip()}\n", flush=True)
    if failures and failures == len(names if arguments.pid is None else [arguments.pid]):
        raise CommandError("No stack can be read.")


def _stack_of(pid: int, folder: str) -> str:
    """Stacks of a process: by py-spy, where it is installed and may look, else as the process itself writes them."""
    from ray_async.machine.stack_dump import read_stacks

    tool = shutil.which("py-spy")
    if tool is not None:
        seen = subprocess.run(
            [tool, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=30, check=False
        )
        if seen.returncode == 0:
            return seen.stdout
    return read_stacks(pid, folder)


def _kill_actor(arguments: argparse.Namespace) -> None:
    import ray_async as ray

    ray.init(address=arguments.node.address, log_to_driver=False, namespace=arguments.namespace or None)
    try:
        try:
            actor = ray.get_actor(arguments.name, arguments.namespace or None)
        except ValueError as error:
            named = [row["name"] for row in _rows(arguments, _KINDS["actors"], (), 10_000) if row["name"]]
            raise CommandError(f"{error}{did_you_mean(arguments.name, named)}") from error
        if arguments.force or arguments.no_restart:
            ray.kill(actor, no_restart=arguments.no_restart)
        else:
            ray.wait([actor.__ray_terminate__.remote()], timeout=arguments.timeout)
    finally:
        ray.shutdown()
    print(f"Actor {arguments.name!r} was asked to end.")


def _has_yaml() -> bool:
    from importlib.util import find_spec

    return find_spec("yaml") is not None
