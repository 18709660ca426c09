"""Errors of a task: its function raised, it was cancelled, its worker died, it can never run."""

from __future__ import annotations

import logging
import os
from typing import Any

from .base import RayError, restore_error
from .remote_traceback import DEPENDENCY_LINE, HEADER, clip, format_remote

__all__ = (
    "RayTaskError",
    "TaskCancelledError",
    "TaskPlacementGroupRemoved",
    "TaskUnschedulableError",
    "UserCodeException",
    "WorkerCrashedError",
)

logger = logging.getLogger("ray_async.exceptions")


class RayTaskError(RayError):
    """The function of a task or the method of an actor raised an exception.

    `get` and `await` raise the form that `as_instanceof_cause` gives, so both `except RayTaskError` and
    `except TheUsersError` catch it.

    Args:
        function_name: name of the function, for instance `"f"` or `"Counter.add"`.
        traceback_str: traceback as text, as the worker saw it.
        cause: the user's exception.
        proctitle: title of the worker, `ray::<function name>` by default.
        pid: process id of the worker; this process by default.
        ip: address of the worker's node; the local host by default.
        actor_repr: repr of the actor, for methods.
        actor_id: hex id of the actor, for methods.

    Example:
        >>> try:
        ...     1 / 0
        ... except ZeroDivisionError as error:
        ...     failure = RayTaskError.from_exception(error, function_name="f", proctitle="ray::f", pid=7, ip="::1")
        >>> isinstance(failure.as_instanceof_cause(), ZeroDivisionError)
        True
    """

    def __init__(
        self,
        function_name: str,
        traceback_str: str,
        cause: BaseException,
        proctitle: str | None = None,
        pid: int | None = None,
        ip: str | None = None,
        actor_repr: str | None = None,
        actor_id: str | None = None,
    ) -> None:
        self.function_name = function_name
        self.traceback_str = traceback_str
        self.proctitle = proctitle or f"ray::{function_name}"
        self.pid = pid or os.getpid()
        self.ip = ip or "127.0.0.1"
        self.actor_repr = actor_repr
        self._actor_id = actor_id
        self.cause: BaseException = cause
        self.args = (function_name, traceback_str, cause, self.proctitle, self.pid, self.ip)

    @classmethod
    def from_exception(
        cls,
        exc: BaseException,
        *,
        function_name: str,
        proctitle: str,
        pid: int,
        ip: str,
        actor_repr: str | None = None,
        actor_id: str | None = None,
    ) -> RayTaskError:
        """The failure of a task whose function raised `exc`, with a short traceback of user frames.

        An error that came from another task keeps its own cause, so that types stay visible through any depth.
        """
        cause = exc.cause if isinstance(exc, RayTaskError) else exc
        return RayTaskError(function_name, format_remote(exc), cause, proctitle, pid, ip, actor_repr, actor_id)

    @classmethod
    def from_dependency(
        cls,
        error: BaseException,
        *,
        function_name: str,
        proctitle: str,
        pid: int,
        ip: str,
        actor_repr: str | None = None,
        actor_id: str | None = None,
    ) -> RayTaskError:
        """The failure of a task that did not run because the object `error` stands in for one of its arguments."""
        plain = error.__dict__.get("_task_error", error) if isinstance(error, RayTaskError) else error
        kind = type(plain)
        text = clip(f"{HEADER}\n{DEPENDENCY_LINE}\n{kind.__module__}.{kind.__qualname__}: {plain}")
        cause = error.cause if isinstance(error, RayTaskError) else error
        return RayTaskError(function_name, text, cause, proctitle, pid, ip, actor_repr, actor_id)

    def make_dual_exception_instance(self) -> RayTaskError:
        """An error that is also an instance of the class of `cause`.

        Raises:
            TypeError: that class cannot be subclassed.
        """
        from .dual import make_dual

        return make_dual(self)

    def as_instanceof_cause(self) -> RayTaskError:
        """An error that is also an instance of the class of `cause`; this one, with a warning, where that cannot be."""
        if issubclass(type(self), type(self.cause)):
            return self
        try:
            return self.make_dual_exception_instance()
        except Exception as error:
            logger.warning(
                "The exception class %s can't be combined with RayTaskError. This exception is raised as RayTaskError "
                "only. You can use `ray_task_error.cause` to access the user exception. Reason: %s: %s",
                type(self.cause),
                type(error).__name__,
                error,
            )
            return self

    def as_awaitable_cause(self) -> RayTaskError:
        """The form for `await`: as `as_instanceof_cause`, but plain for a `StopIteration`.

        Futures refuse a `StopIteration`, and coroutines turn one into a `RuntimeError`.
        """
        if not isinstance(self.cause, StopIteration):
            return self.as_instanceof_cause()
        plain: RayTaskError = self.__dict__.get("_task_error", self)
        return plain

    def with_serializable_cause(self, reason: BaseException) -> RayTaskError:
        """A copy whose cause, which cannot be pickled for `reason`, is replaced by a `RayError` that says so."""
        kind = type(self.cause)
        text = (
            f"Exception {kind.__module__}.{kind.__qualname__} isn't serializable: {reason}\n"
            f"It was raised here:\n{self.traceback_str}"
        )
        return self.with_cause(RayError(text), self.traceback_str)

    def with_cause(self, cause: BaseException, traceback_str: str | None = None) -> RayTaskError:
        """The failure of the same call with another cause.

        Args:
            cause: the exception.
            traceback_str: the text; that of the cause by default.
        """
        text = format_remote(cause) if traceback_str is None else traceback_str
        return RayTaskError(
            self.function_name, text, cause, self.proctitle, self.pid, self.ip, self.actor_repr, self._actor_id
        )

    def call(self) -> tuple[Any, ...]:
        """The failure without its cause: name of the function, text, and where it ran."""
        where = self.proctitle, self.pid, self.ip, self.actor_repr, self._actor_id
        return self.function_name, self.traceback_str, *where

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_error, (type(self), self.args, dict(self.__dict__))

    def __str__(self) -> str:
        where = f"{self.proctitle}() (pid={self.pid}, ip={self.ip}"
        if self.actor_repr is not None:
            where += f", actor_id={self._actor_id}, repr={self.actor_repr}"
        head, _, body = self.traceback_str.strip("\n").partition("\n")
        if head.startswith("Traceback "):
            return f"{where})\n{body}"
        return f"{where})\n{self.traceback_str}"


class TaskCancelledError(RayError):
    """The task was cancelled.

    Args:
        task_id: the task that was cancelled.
        error_message: what else is known, for instance who cancelled it.
    """

    def __init__(self, task_id: object = None, error_message: str | None = None) -> None:
        super().__init__(task_id, error_message)
        self.task_id = task_id
        self.error_message = error_message

    def __str__(self) -> str:
        named = f"Task: {self.task_id} was cancelled." if self.task_id else ""
        return " ".join(part for part in (named, self.error_message) if part) or "This task was cancelled."


class WorkerCrashedError(RayError):
    """The worker process died while it ran a task, and no retries are left.

    Its text says how the process ended and what is known about the reason.
    """

    def __str__(self) -> str:
        return super().__str__() or "The worker process died while it ran this task, and no retries are left."


class TaskUnschedulableError(RayError):
    """No node can ever run the task, for instance because the only node it may use is gone.

    Args:
        error_message: the reason.
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return f"The task cannot be scheduled: {self.error_message}"


class TaskPlacementGroupRemoved(RayError):
    """The placement group of the task was removed while it waited or ran."""

    def __str__(self) -> str:
        return super().__str__() or "The placement group of this task was removed."


class UserCodeException(RayError):
    """Wraps an exception of user code; its `__cause__` decides about `retry_exceptions`."""
