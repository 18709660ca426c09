"""The session of a worker: what a task or an actor finds when it uses the API itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async._core import submission
from ray_async.engine.protocol import ExecutionContext
from ray_async.ids import PlacementGroupID
from ray_async.runtime.session.core_session import CoreSession
from ray_async.runtime.worker.failure import WorkerExit
from ray_async.spec.descriptors import ActorMeta, ClassDescriptor

if TYPE_CHECKING:
    import asyncio

    from ray_async._core.arena import Arena
    from ray_async._core.submission import ActorCore
    from ray_async.runtime.messages.session_description import WorkerConfig
    from ray_async.runtime.worker.worker import Worker
    from ray_async.spec.actor_description import ActorDescription

__all__ = ("WorkerSession",)

#: Kinds of devices that programs ask for, whether there are any or not.
_ACCELERATORS = ("GPU", "TPU", "neuron_cores", "NPU", "HPU", "RBLN")


class WorkerSession(CoreSession):
    """The session of a worker: of whatever it executes.

    Args:
        arena: the session's shared memory, joined.
        config: the node's configuration of this worker.
        worker: the process.
    """

    def __init__(self, arena: Arena, config: WorkerConfig, worker: Worker) -> None:
        self._worker = worker
        super().__init__(arena, config)

    def own_loop(self) -> asyncio.AbstractEventLoop:
        """The worker's loop."""
        loop: asyncio.AbstractEventLoop = self._worker.loop()
        return loop

    def get(self, refs: list[Any], timeout: float | None) -> list[Any]:
        """Wait for values; on the loop of an async actor, say once that this keeps it from running."""
        if self._worker.on_loop:
            self._worker.warn_of_blocking_get()
        return super().get(refs, timeout)

    def inherited_group(self) -> tuple[str | None, bool]:
        """The placement group of the lease, if it captures children."""
        lease = self._worker.lease
        if lease is not None and lease.place.group and lease.place.capture:
            return lease.place.group, True
        return None, False

    def context(self) -> ExecutionContext:
        """What the calling thread or coroutine is executing."""
        from ray_async.runtime.worker.current_call import running

        worker = self._worker
        base = super().context()
        record = submission.current_parent()
        lease = worker.lease
        if lease is None or not (record or worker.actor):
            return base._replace(is_driver=False)
        place, actor = lease.place, lease.actor
        now = running.get()
        definition = None if now or not record else worker.executor.prepare(record)[1]
        return base._replace(
            is_driver=False,
            task_id=self.task_id_of(record) if record else None,
            task_name=now.name if now else (definition.name if definition else None),
            function_name=now.function_name if now else (definition.qualname if definition else None),
            actor_id=self.actor_id_of(worker.actor) if actor else None,
            actor_name=actor.name if actor else None,
            actor=self._own_handle(worker, actor) if actor else None,
            is_async_actor=actor is not None and actor.is_async,
            assigned_resources=place.resources,
            accelerator_ids={**{kind: [] for kind in _ACCELERATORS}, **(lease.accelerators or {})},
            placement_group_id=PlacementGroupID.from_hex(place.group) if place.group else None,
            captures_placement_group=place.capture,
            was_reconstructed=actor is not None and submission.actor_restarts(self.arena, worker.actor) > 0,
            is_canceled=record != 0 and worker.executor.is_cancelled(record),
        )

    def result_is_wanted(self) -> bool:
        """Whether anything refers to a result of the running call."""
        record = submission.current_parent()
        return not record or bool(self._worker.executor.is_referred_to(record))

    def owner(self) -> str:
        """This worker: actors that it creates end with it, unless they are detached."""
        return str(self.worker_id().hex())

    def actor_exit(self) -> SystemExit:
        """Note that the running call ends its actor, even if it goes on; gives what is to be raised."""
        self._worker.executor.exiting = submission.current_parent()
        return WorkerExit(0)

    def _own_handle(self, worker: Worker, actor: ActorDescription) -> tuple[ActorCore, ActorMeta]:
        meta = ClassDescriptor(type(worker.actor_instance), tuple(actor.concurrency_groups)).meta
        return submission.actor_at_offset(self.arena, worker.actor), meta
