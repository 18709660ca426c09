"""Executions: what the current thread or asyncio task runs."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_async._core import store
from ray_async._core.object_ref import ObjectRef
from ray_async._core.os_process import now_ns, set_title
from ray_async.serialization.context_variables import Applied

if TYPE_CHECKING:
    from ray_async._core.call_options import CallOptions
    from ray_async._core.execution import Executor
    from ray_async.runtime.worker.definitions import Definition
    from ray_async.runtime.worker.worker import Worker

__all__ = ("Executing", "Running", "UserCode", "running")


class Running(NamedTuple):
    """One execution of a record."""

    record: int
    seq: int
    name: str
    function_name: str
    options: CallOptions


running: contextvars.ContextVar[Running | None] = contextvars.ContextVar("ray_async_running", default=None)


# These two stand around the user's code, and so are no generators of `contextlib`'s: that assigns to the exceptions
# which pass, and those may be frozen.


class Executing:
    """A block in which the current thread or asyncio task runs a record.

    Args:
        worker: the process.
        record: offset of the record.
        definition: the callable's.
        options: the record's.
    """

    __slots__ = ("_applied", "_definition", "_name", "_renamed", "_seq", "_started", "_token", "_traced", "_worker")

    def __init__(self, worker: Worker, record: int, definition: Definition, options: CallOptions) -> None:
        self._worker = worker
        self._definition = definition
        self._seq = worker.executor.facts(record)["seq"]
        self._name = options.get("name") or definition.name
        self._token = running.set(Running(record, self._seq, self._name, definition.qualname, options))
        self._started = now_ns()
        self._renamed = "name" in options and record == worker.executor.record
        self._traced = options.get("enable_task_events", True)
        context = options.get("context")
        if isinstance(context, ObjectRef):
            context = store.read(worker.arena, context)
        self._applied: Applied | None = None if context is None else Applied(context)

    def __enter__(self) -> None:
        if self._renamed:
            set_title(f"ray::{self._name}".encode())
        if self._applied is not None:
            try:
                self._applied.__enter__()
            except BaseException:
                self._leave()
                raise

    def __exit__(self, *exception: Any) -> None:
        try:
            if self._applied is not None:
                self._applied.__exit__(*exception)
        finally:
            self._leave()

    def _leave(self) -> None:
        running.reset(self._token)
        if self._renamed:
            set_title(self._definition.title, self._definition.line)
        if self._traced:
            self._worker.trace(self._name, self._started, now_ns(), self._seq)


class UserCode:
    """A block that a cancel may interrupt, and at whose end a forked child that comes back ends."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def __enter__(self) -> None:
        self._executor.in_user_code = True

    def __exit__(self, kind: type[BaseException] | None, *exception: Any) -> None:
        self._executor.in_user_code = False
        if kind is None:  # an error is looked at where it is stored
            self._executor.end_if_forked()
