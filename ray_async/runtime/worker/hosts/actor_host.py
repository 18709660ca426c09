"""Hosting an actor: one call at a time, in threads, or on an event loop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async._core.submission import set_parent
from ray_async.runtime.worker.lease import WorkerLease

if TYPE_CHECKING:
    from ray_async.runtime.worker.definitions import Definition
    from ray_async.runtime.worker.worker import Worker
    from ray_async.spec.actor_description import ActorDescription

__all__ = ("host_actor",)


def host_actor(worker: Worker, offset: int, lease: int) -> None:
    """Create the actor and serve its queue until it ends."""
    executor = worker.executor
    actor = worker.session.actor_description(offset)
    worker.enter_lease(WorkerLease(actor))
    if actor.is_async:
        from ray_async.runtime.worker.hosts.async_host import host_async_actor

        host_async_actor(worker, offset, actor)
        return
    executor.run_record(executor.creation_of_actor(offset))
    if not worker.actor_ready:
        return
    if actor.max_concurrency > 1 or actor.concurrency_groups:
        executor.sync_actor = True
        ThreadedHost(worker, offset, actor).serve()
    else:
        executor.sync_actor = True
        executor.ordered = actor.ordered
        executor.serve(executor.queue_of_actor(offset), lease)


class ThreadedHost:
    """Runs calls in threads: one pool for each concurrency group, and one for the calls without a group.

    The main thread takes calls from the actor's queue and hands them over, so that it stays free for signals.
    """

    def __init__(self, worker: Worker, offset: int, actor: ActorDescription) -> None:
        self._worker = worker
        self._queue = worker.executor.queue_of_actor(offset)
        self._inboxes: dict[str, queue.SimpleQueue[int]] = {}
        for group, size in {**actor.concurrency_groups, "": actor.max_concurrency}.items():
            inbox: queue.SimpleQueue[int] = queue.SimpleQueue()
            self._inboxes[group] = inbox
            for index in range(size):
                name = f"ray::{group or 'actor'}-{index}"
                threading.Thread(target=self._serve_inbox, args=(inbox,), name=name, daemon=True).start()

    def serve(self) -> None:
        """Hand calls to the pools until the process is to end."""
        executor = self._worker.executor
        for record in iter(lambda: executor.take(self._queue), 0):
            _, definition = executor.prepare(record)
            group = executor.options(record).get("concurrency_group") or definition.group or ""
            inbox = self._inboxes.get(group)
            if inbox is None:
                _refuse_group(self._worker, record, definition, group, sorted(self._inboxes))
            else:
                inbox.put(record)

    def _serve_inbox(self, inbox: queue.SimpleQueue[int]) -> None:
        while True:
            run_in_thread(self._worker, inbox.get())


def _refuse_group(worker: Worker, record: int, definition: Definition, group: str, known: list[str]) -> None:
    error = ValueError(f"the actor has no concurrency group {group!r}; declared are {[k for k in known if k]}")
    payload = worker._failed(worker.executor, record, None, definition, error)
    if payload is not None:
        worker.executor.fail(record, payload)


def run_in_thread(worker: Worker, record: int) -> None:
    """Execute one record on a thread that is not the main one."""
    executor = worker.executor
    function: Callable[..., Any] | None = None
    definition = None
    set_parent(record, True)
    try:
        function, definition = executor.prepare(record)
        args, kwargs = executor.arguments(record)
        args, kwargs = executor.resolve(args, kwargs)
        definition.run(executor, record, function, args, kwargs)
    except BaseException as error:
        payload = worker._failed(executor, record, function, definition, error)
        if payload is not None:
            executor.fail(record, payload)
    finally:
        set_parent(0, True)
