"""The subjects: one file each, `SUBJECT` in it; `all_subjects` finds them by the order below."""

from __future__ import annotations

import importlib

from bench.subject import Subject

__all__ = ("NAMES", "all_subjects")

NAMES = (
    "task_round_trip",
    "task_await",
    "tasks_pipelined",
    "actor_calls",
    "async_actor_calls",
    "compiled_graphs",
    "nested_calls",
    "streams",
    "asyncio_idioms",
    "under_load",
    "small_values",
    "put_array",
    "get_array",
    "many_references",
    "startup",
    "actor_creation",
    "memory",
    "queued_tasks",
    "option_sets",
)


def all_subjects() -> list[Subject]:
    """All subjects, in the order of the table."""
    return [importlib.import_module(f"{__name__}.{name}").SUBJECT for name in NAMES]
