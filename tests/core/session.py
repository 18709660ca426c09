"""What the tests of the core share: the hooks' plain forms, and a worker in the same process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NoReturn

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.constants import ProcessKind
from ray_async._core.execution import Executor
from ray_async._core.object_ref import ObjectRef
from ray_async._core.submission import Template, new_queue

NODE, DRIVER, WORKER = ProcessKind.NODE, ProcessKind.DRIVER, ProcessKind.WORKER


class DamageError(Exception):
    """Stands for the errors that the package above raises."""


def raise_error(value: Any) -> NoReturn:
    """The hook for values of failed tasks: the value is the pickled error, or the error."""
    raise pickle.loads(value) if isinstance(value, bytes) else value


def timed_out(missing: int, timeout: float) -> TimeoutError:
    """The hook for waits that take too long."""
    return TimeoutError(f"{missing} objects were not ready after {timeout} s")


class Meta:
    """What the executor asks of a definition."""

    special = False

    def used_up(self) -> bool:
        """No limit of calls."""
        return False

    def run(self, executor: Any, record: int, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The rare way to run a record; plain here."""
        executor.succeed(record, function(*args, **kwargs))


class Bench:
    """A queue, its submitter and its worker, all in this process."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.queue = new_queue(arena)
        self.functions: dict[bytes, Callable[..., Any]] = {}
        self.failures: list[BaseException] = []
        self.retry = False
        self.executor = Executor(arena, self.load, self.failed)

    def load(self, payload: bytes, key: int) -> tuple[Callable[..., Any], Meta]:
        """The definition behind an exported name."""
        return self.functions[payload], Meta()

    def failed(self, executor: Any, record: int, function: Any, meta: Any, error: BaseException) -> bytes | None:
        """The payload of a failed record; None after putting it back."""
        self.failures.append(error)
        left = executor.facts(record)["retries"]
        if self.retry and left:
            executor.requeue(record, left - 1)
            return None
        return pickle.dumps(error)

    def template(self, function: Callable[..., Any], **options: Any) -> Template:
        """Export a function and return what calls it."""
        name = f"{function.__qualname__}{len(self.functions)}".encode()
        self.functions[name] = function
        return Template(self.arena, store.put_raw(self.arena, name), queue=self.queue, **options)

    def run_all(self) -> int:
        """Run what is queued; returns how many records that was."""
        count = 0
        while record := self.executor.pop(self.queue):
            self.executor.run_record(record)
            count += 1
        return count


def references(arena: Arena, ref: ObjectRef) -> int:
    """How many hold an object."""
    return int(store.describe(arena, ref)["references"])
