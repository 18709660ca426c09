"""Definitions: exported functions and methods as a worker sees them, and how each kind of callable is run."""

from __future__ import annotations

import inspect
import logging
import pickle
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from ray_async.runtime.worker.current_call import UserCode
from ray_async.runtime.worker.stream_writer import StreamWriter
from ray_async.spec.definition_export import DefinitionExport, DefinitionKind

if TYPE_CHECKING:
    from ray_async._core.execution import Executor
    from ray_async._core.record_facts import RecordFacts
    from ray_async.runtime.worker.worker import Worker

__all__ = ("Definition", "first_items", "load_definition")

_logger = logging.getLogger("ray_async")
_PAUSE_NS = 200_000_000  # between looks at the consumer and at cancels, for a wake-up that was lost


class Definition:
    """What is known of an exported callable, and how a record of it is run on one thread.

    The executor looks at ``special`` first: plain functions without options never come here.
    """

    __slots__ = (
        "calls",
        "calls_that_wait",
        "group",
        "in_thread",
        "is_async",
        "is_generator",
        "kind",
        "line",
        "max_calls",
        "method",
        "name",
        "plain_coroutine",
        "qualname",
        "special",
        "title",
        "worker",
    )

    def __init__(self, worker: Worker, export: DefinitionExport) -> None:
        self.worker = worker
        self.kind = export.kind
        self.name = export.name
        self.qualname = export.qualname
        self.is_async = export.is_async
        self.is_generator = export.is_generator
        self.max_calls = export.max_calls
        self.group = export.group
        self.method = export.method
        self.in_thread = export.in_thread
        #: What ps shows as the command line of the process while it runs this, and the name of its thread, which is
        #: short: the function, or the class of the actor.
        self.line = b"ray::" + self.name.encode()
        self.title = (
            b"ray::" + (self.name if self.kind is DefinitionKind.FUNCTION else self.name.partition(".")[0]).encode()
        )
        self.calls = 0
        self.calls_that_wait = 0  # so many of the next calls are taken to have to wait, of a plain coroutine function
        self.plain_coroutine = False
        self.special = (
            self.is_async or self.is_generator or self.kind is DefinitionKind.CLASS or self.method in _SPECIAL_METHODS
        )

    def used_up(self) -> bool:
        """Count a call; whether the worker has run as many of this function as one process may."""
        self.calls += 1
        return 0 < self.max_calls <= self.calls

    def run(
        self,
        executor: Executor,
        record: int,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Run one record on this thread and complete it; what it raises is the task's failure."""
        if executor.is_cancelled(record):
            raise KeyboardInterrupt
        options = executor.options(record)
        facts = executor.facts(record)
        with self.worker.executing(record, self, options):
            if self.kind is DefinitionKind.CLASS:
                self.worker.create_actor(record, function, self, args, kwargs)
                return
            with UserCode(executor):
                if executor.is_cancelled(record):  # a signal that came just before found no user code to interrupt
                    raise KeyboardInterrupt
                result = function(*args, **kwargs)
                if inspect.iscoroutine(result):
                    result = self.worker.run_coroutine(result)
            if self.in_thread and executor.is_cancelled(record):
                raise KeyboardInterrupt  # it was not interrupted, but what it gives does not count
            if facts["stream"]:
                self._stream(executor, record, facts, result)
            elif options.get("dynamic"):
                self._collect(executor, record, result)
            elif inspect.isgenerator(result):
                self._fill(executor, record, facts["n_returns"], result)
            else:
                executor.succeed(record, result)

    def _fill(self, executor: Executor, record: int, n_returns: int, items: Iterator[Any]) -> None:
        """Make each item of a generator a return as it comes: those before an error or too early an end stay."""
        count = 0
        while True:
            with UserCode(executor):
                try:
                    item = next(items)
                except StopIteration:
                    break
            executor.check(record)
            if count == n_returns:
                _note_cut(self.name, n_returns)
                break
            executor.complete_item(record, count, item)
            count += 1
        if count < n_returns:
            raise ValueError(f"the task has num_returns={n_returns}, and yielded {count} values")
        executor.check(record)
        executor.finish(record)

    def _collect(self, executor: Executor, record: int, items: Any) -> None:
        """Store all items and return their references; an error that is not retried is the last of them."""
        from ray_async.runtime.awaiting.generators import DynamicObjectRefGenerator

        iterator = self._iterator(items)
        refs: list[Any] = []
        while True:
            try:
                with UserCode(executor):
                    item = next(iterator)
                refs.append(self.worker.session.put(item))
            except StopIteration:
                break
            except Exception as error:
                if self.worker.may_retry(record, error):
                    raise
                refs.append(self.worker.failed_item(self, error))
                break
        executor.succeed(record, DynamicObjectRefGenerator(refs))

    def _iterator(self, items: Any) -> Iterator[Any]:
        if hasattr(items, "__anext__"):
            return self.worker.iterate(items)
        return iter(_checked(items, self.name))

    def _stream(self, executor: Executor, record: int, facts: RecordFacts, items: Any) -> None:
        writer = StreamWriter(executor, record, facts, self.name)
        iterator = self._iterator(items)
        following = iterator.__next__
        try:
            while True:
                if executor.is_cancelled(record):
                    raise KeyboardInterrupt
                executor.in_user_code = True
                try:
                    item = following()
                except StopIteration:
                    break
                finally:
                    executor.in_user_code = False
                writer.write(item)
                while writer.is_ahead() and not executor.is_cancelled(record):
                    with UserCode(executor):  # a cancel interrupts the pause like user code
                        writer.stream.wait_for_consumer(_PAUSE_NS)
            executor.end_stream(record)
        except BaseException as error:
            executor.end_if_forked(error)
            overtaken = isinstance(error, Exception) and executor.is_overtaken(record)
            executor.cancel_delivered(record)  # what the generator does from now on is its cleaning up
            if isinstance(iterator, Generator):
                iterator.close()
            if overtaken:
                raise KeyboardInterrupt from error
            raise


def first_items(items: Iterator[Any], count: int, name: str) -> list[Any]:
    """The first items of a generator, which are the returns of a call; what comes after them is lost, and logged."""
    found = list(islice(items, count + 1))
    if len(found) > count:
        _note_cut(name, count)
    return found[:count]


def _note_cut(name: str, count: int) -> None:
    _logger.error("%s has num_returns=%d, and yielded more values: they are lost", name, count)


def _checked(items: Any, name: str) -> Any:
    if not hasattr(items, "__iter__"):
        raise ValueError(
            f"{name} yields its returns one by one and must be a generator, but returned {type(items).__name__}"
        )
    return items


def _call_with_self(instance: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(instance, *args, **kwargs)


def _terminate(worker: Worker) -> None:
    worker.exit_actor()


_SPECIAL_METHODS = {"__ray_ready__", "__ray_call__", "__ray_terminate__"}


def load_definition(worker: Worker, payload: bytes) -> tuple[Callable[..., Any], Definition]:
    """Unpickle an export and bind it: a function is itself, a method is looked up on the worker's actor."""
    export = DefinitionExport.decode(payload)
    definition = Definition(worker, export)
    name = export.method
    if name is None:
        target = _load_target(export)
        definition.plain_coroutine = _is_plain_coroutine(definition, target)
        return target, definition
    instance = worker.actor_instance
    if name == "__ray_ready__":
        return lambda: True, definition
    if name == "__ray_call__":
        return lambda function, *args, **kwargs: _call_with_self(instance, function, *args, **kwargs), definition
    if name == "__ray_terminate__":
        return lambda: _terminate(worker), definition
    # The class's, even where __init__ has set an attribute of that name.
    found = inspect.getattr_static(type(instance), name, None)
    method = found.__get__(instance, type(instance)) if hasattr(found, "__get__") else getattr(instance, name)
    definition.is_async = definition.is_async or inspect.iscoroutinefunction(method)
    definition.special = definition.special or definition.is_async
    definition.plain_coroutine = _is_plain_coroutine(definition, method)
    return method, definition


def _load_target(export: DefinitionExport) -> Any:
    try:
        return pickle.loads(export.target)
    except Exception as error:
        what = "The remote function"
        if export.kind is DefinitionKind.CLASS:
            what = f"The actor with name {export.name.partition('.')[0]}"
        raise RuntimeError(
            f"{what} failed to import on the worker: {type(error).__name__}: {error}. Is all that it needs installed "
            "there, and in the module search path?"
        ) from error


def _is_plain_coroutine(definition: Definition, function: Callable[..., Any]) -> bool:
    """Whether a call gives a coroutine and nothing else has to be looked at."""
    code = getattr(function, "__code__", None)  # what is only marked as a coroutine function may give anything
    is_coroutine = code is not None and bool(code.co_flags & inspect.CO_COROUTINE)
    return is_coroutine and not definition.group and not definition.in_thread
