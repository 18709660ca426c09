"""Failures of tasks: from an exception to the error that is stored for the caller."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async.config import IGNORE_UNHANDLED_ERRORS
from ray_async.exceptions.remote_traceback import clip
from ray_async.runtime.worker.breakpoints import explained
from ray_async.serialization import pickling as serialization

if TYPE_CHECKING:
    from ray_async.runtime.worker.definitions import Definition
    from ray_async.runtime.worker.worker import Worker

__all__ = (
    "WorkerExit",
    "cancelled_payload",
    "failure_payload",
    "report_failure",
    "report_unread",
    "unstorable_payload",
    "wants_retry",
)

_REPORTED_BYTES = 4_000

_logger = logging.getLogger("ray_async")


class WorkerExit(SystemExit):
    """Ends the worker on its own terms (exit_actor, an asked-for exit): not a failure of the task."""


def wants_retry(error: BaseException, filters: Any) -> bool:
    """Whether an application error is of a kind that ``retry_exceptions`` names; True names all."""
    if not isinstance(error, Exception):
        return False
    if filters is True or filters is None:
        return True
    cause = getattr(error, "cause", None)
    candidates = [error, cause] if isinstance(cause, BaseException) else [error]
    return any(isinstance(candidate, tuple(filters)) for candidate in candidates)


def failure_payload(worker: Worker, definition: Definition | None, error: BaseException) -> bytes:
    """The stored form of what user code (or the decoding of its arguments) raised."""
    error = explained(error)
    name = definition.name if definition is not None else "unknown"
    arguments = error.__dict__.pop("_from_argument", None)
    of_argument = arguments is not None and isinstance(error, errors.RayError)
    if of_argument:
        from ray_async.runtime.session.load_failure import name_argument  # few workers see such an argument

        error = name_argument(error, *arguments)
    kind = errors.RayTaskError
    described = (kind.from_dependency if of_argument else kind.from_exception)(
        error,
        function_name=name,
        proctitle=f"ray::{name}",
        pid=os.getpid(),
        ip=worker.node_ip,
        actor_repr=worker.actor_repr(),
        actor_id=worker.actor_id_hex(),
    )
    return errors.to_payload(described, dumps=worker.dumps, dumps_forgiving=serialization.dumps_forgiving)


def unstorable_payload(reason: BaseException) -> bytes:
    """The stored form of a failure whose own error cannot be stored: it is too large, or cannot be pickled at all."""
    text = f"the call failed, and its error could not be stored: {type(reason).__name__}: {reason}"
    return errors.to_payload(errors.RaySystemError(text))


def report_unread(worker: Worker, record: int, payload: bytes) -> None:
    """Log a stored error that nobody can ever read, since all references to the task's results are gone already.

    Of a task that was cancelled nobody wanted to know any more.
    """
    if worker.executor.is_referred_to(record) or worker.executor.is_cancelled(record):
        return
    if worker.session.settings.get(IGNORE_UNHANDLED_ERRORS):
        return
    error = errors.from_payload(payload)
    if not isinstance(error, errors.TaskCancelledError | errors.ActorDiedError):
        _logger.error("a task failed, and nothing refers to its result any more: %s", error)


def report_failure(worker: Worker, record: int, definition: Definition | None, kind: str, payload: bytes) -> None:
    """Report a task that fails to the node: its record may go with its results, and the history keeps what is reported.

    A node that stands still keeps no task from ending: what it has no room for is dropped, and counted.
    """
    facts = worker.executor.facts(record)
    options = worker.executor.options(record)
    if options.get("enable_task_events", True):
        worker.session.offer(
            "task_failed",
            **{key: facts[key] for key in ("seq", "job", "kind", "attempt")},
            name=definition.name if definition is not None else "unknown",
            given=options.get("name", ""),
            error_type=kind,
            text=clip(errors.payload_text(payload), _REPORTED_BYTES),
        )


def cancelled_payload(worker: Worker, record: int, definition: Definition | None, error: BaseException) -> bytes:
    """The stored form of a cancel that ended what was running: a failure of the task, whose cause is the cancel."""
    text = f"{type(error).__name__}: {error}" if error.args and not worker.executor.is_cancelled(record) else None
    cancelled = errors.TaskCancelledError(worker.session.task_id_of(record), text)
    return failure_payload(worker, definition, cancelled.with_traceback(error.__traceback__))


def host_name() -> str:
    """This machine's name."""
    return socket.gethostname()
