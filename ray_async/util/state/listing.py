"""Listings: each asks the node for rows, then filters and cuts them here.

Objects are those that the store knows. A task that has ended stays listed while something refers to its results, and if
it has failed, among the latest 10,000; the setting ``task_history`` keeps as many of those that have succeeded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.engine.state import FieldFilter, StateKind
from ray_async.util.state.exception import RayStateApiException
from ray_async.util.state.question import answer, ask
from ray_async.util.state.row import StateRow

__all__ = (
    "get_actor",
    "get_node",
    "get_objects",
    "get_placement_group",
    "get_task",
    "get_worker",
    "list_actors",
    "list_nodes",
    "list_objects",
    "list_placement_groups",
    "list_tasks",
    "list_workers",
    "summarize_actors",
    "summarize_objects",
    "summarize_tasks",
)

MAX_LIMIT = 10_000

Filters = Sequence[tuple[str, str, Any]]


def list_actors(
    address: str | None = None,
    filters: Filters | None = None,
    limit: int = 100,
    timeout: float | None = 30,
    offset: int = 0,
    **options: Any,
) -> list[StateRow]:
    """List actors, dead ones included (the last thousand, once no handle exists).

    Args:
        address: Of a node of this machine, which need not be the session's; None and "auto" are the session's.
        filters: Conditions ``(field, "=" or "!=", value)``, all of which must hold; letters' case does not matter.
        limit: Most rows, up to 10,000.
        timeout: Seconds to wait for the node's answer; None waits for ever.
        offset: How many rows to leave out before the first, of those that fit.
        options: ``detail``, ``explain`` and ``raise_on_missing_output``, as in Ray: rows always have all fields.

    Raises:
        RayStateApiException: A bad filter, limit or offset.
        ServerUnavailable: No node runs there, or it does not answer in time.
        TypeError: Another option.
    """
    return _list(ask(StateKind.ACTORS, address, timeout, options), filters, limit, offset)


def list_tasks(
    address: str | None = None,
    filters: Filters | None = None,
    limit: int = 100,
    timeout: float | None = 30,
    offset: int = 0,
    **options: Any,
) -> list[StateRow]:
    """List tasks and calls of actors, with arguments and errors as in `list_actors`.

    Those that have ended and are forgotten but for the history come last, the latest of them first.
    """
    return _tasks(address, filters, limit, timeout, offset, options)


def list_objects(
    address: str | None = None,
    filters: Filters | None = None,
    limit: int = 100,
    timeout: float | None = 30,
    offset: int = 0,
    **options: Any,
) -> list[StateRow]:
    """List objects, with arguments and errors as in `list_actors`."""
    return _list(ask(StateKind.OBJECTS, address, timeout, options), filters, limit, offset)


def list_workers(
    address: str | None = None,
    filters: Filters | None = None,
    limit: int = 100,
    timeout: float | None = 30,
    offset: int = 0,
    **options: Any,
) -> list[StateRow]:
    """List worker processes, the last thousand dead ones included, with arguments and errors as in `list_actors`."""
    return _list(ask(StateKind.WORKERS, address, timeout, options), filters, limit, offset)


def list_nodes(
    address: str | None = None,
    filters: Filters | None = None,
    limit: int = 100,
    timeout: float | None = 30,
    offset: int = 0,
    **options: Any,
) -> list[StateRow]:
    """List logical nodes, removed ones included, with arguments and errors as in `list_actors`."""
    return _list(ask(StateKind.NODES, address, timeout, options), filters, limit, offset, _node_row)


def list_placement_groups(
    address: str | None = None,
    filters: Filters | None = None,
    limit: int = 100,
    timeout: float | None = 30,
    offset: int = 0,
    **options: Any,
) -> list[StateRow]:
    """List placement groups, with arguments and errors as in `list_actors`."""
    return _list(ask(StateKind.PLACEMENT_GROUPS, address, timeout, options), filters, limit, offset)


def get_actor(id: str, address: str | None = None, timeout: float | None = 30, **options: Any) -> StateRow | None:
    """Describe the actor with an id in hexadecimal digits; None when there is none."""
    return _one(ask(StateKind.ACTORS, address, timeout, options), "actor_id", id)


def get_task(id: Any, address: str | None = None, timeout: float | None = 30, **options: Any) -> StateRow | None:
    """Describe the task with an id in hexadecimal digits (or of a reference); None when there is none."""
    task_id = id.task_id().hex() if hasattr(id, "task_id") else id
    return next(iter(_tasks(address, [("task_id", "=", task_id)], 1, timeout, 0, options)), None)


def get_objects(id: str, address: str | None = None, timeout: float | None = 30, **options: Any) -> list[StateRow]:
    """Describe the object with an id in hexadecimal digits: a list of one row or none."""
    return _list(ask(StateKind.OBJECTS, address, timeout, options), [("object_id", "=", id)], MAX_LIMIT)


def get_worker(id: str, address: str | None = None, timeout: float | None = 30, **options: Any) -> StateRow | None:
    """Describe the worker with an id in hexadecimal digits; None when there is none."""
    return _one(ask(StateKind.WORKERS, address, timeout, options), "worker_id", id)


def get_node(id: str, address: str | None = None, timeout: float | None = 30, **options: Any) -> StateRow | None:
    """Describe the logical node with an id in hexadecimal digits; None when there is none."""
    return _one(ask(StateKind.NODES, address, timeout, options), "node_id", id, _node_row)


def get_placement_group(
    id: str, address: str | None = None, timeout: float | None = 30, **options: Any
) -> StateRow | None:
    """Describe the placement group with an id in hexadecimal digits; None when there is none."""
    return _one(ask(StateKind.PLACEMENT_GROUPS, address, timeout, options), "placement_group_id", id)


def summarize_tasks(address: str | None = None, timeout: float | None = 30, **options: Any) -> dict[str, Any]:
    """Count tasks by function and state."""
    return _summary(answer(lambda state: state.task_counts(timeout), address, timeout, options), "func_or_class_name")


def summarize_actors(address: str | None = None, timeout: float | None = 30, **options: Any) -> dict[str, Any]:
    """Count actors by class and state."""
    counts: dict[str, Counter[str]] = {}
    for row in ask(StateKind.ACTORS, address, timeout, options):
        counts.setdefault(str(row["class_name"]), Counter())[row["state"]] += 1
    return _summary(counts, "class_name")


def summarize_objects(address: str | None = None, timeout: float | None = 30, **options: Any) -> dict[str, Any]:
    """Count objects and their bytes."""
    rows = ask(StateKind.OBJECTS, address, timeout, options)
    found = {"total_objects": len(rows), "total_size_bytes": sum(row["object_size"] for row in rows)}
    return {"cluster": {"summary": found, **found}}


def _tasks(
    address: str | None,
    filters: Filters | None,
    limit: int,
    timeout: float | None,
    offset: int,
    options: Mapping[str, Any],
) -> list[StateRow]:
    _check_page(limit, offset)
    wanted = _checked(filters)
    found = answer(lambda state: state.tasks(wanted, limit, offset, timeout), address, timeout, options)
    return [StateRow(row) for row in found.rows]


def _list(
    found: list[dict[str, Any]],
    filters: Filters | None,
    limit: int,
    offset: int = 0,
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> list[StateRow]:
    _check_page(limit, offset)
    rows = [convert(row) if convert else row for row in found]
    for wanted in _checked(filters):
        rows = [row for row in rows if wanted.accepts(row.get(wanted.field))]
    return [StateRow(row) for row in rows[offset : offset + limit]]


def _check_page(limit: int, offset: int) -> None:
    if not 0 < limit <= MAX_LIMIT:
        raise RayStateApiException(f"limit must be between 1 and {MAX_LIMIT}, but is {limit}")
    if offset < 0:
        raise RayStateApiException(f"offset must not be negative, but is {offset}")


def _checked(filters: Filters | None) -> list[FieldFilter]:
    for _, predicate, _ in filters or ():
        if predicate not in ("=", "!="):
            raise RayStateApiException(f"a filter's predicate is '=' or '!=', but not {predicate!r}")
    return [FieldFilter(key.lower(), predicate == "=", value) for key, predicate, value in filters or ()]


def _one(
    found: list[dict[str, Any]],
    key: str,
    value: str,
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> StateRow | None:
    return next(iter(_list(found, [(key, "=", value)], MAX_LIMIT, 0, convert)), None)


def _summary(counts: Mapping[str, Mapping[str, int]], key: str) -> dict[str, Any]:
    summary = {name: {key: name, "state_counts": dict(states)} for name, states in counts.items()}
    return {"cluster": {"summary": summary, "total": sum(sum(states.values()) for states in counts.values())}}


def _node_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "node_id": row["NodeID"],
        "node_ip": row["NodeManagerAddress"],
        "is_head_node": row["IsHeadNode"],
        "state": "ALIVE" if row["Alive"] else "DEAD",
        "state_message": row["DeathReasonMessage"],
        "node_name": row["NodeName"],
        "resources_total": row["Resources"],
        "labels": row["Labels"],
        "start_time_ms": row["start_time_ms"],
        "end_time_ms": row["end_time_ms"],
    }
