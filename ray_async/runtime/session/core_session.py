"""A process's session: what drivers' and workers' have in common."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import cancellation, object_ref, store, submission
from ray_async._core.constants import EntryState
from ray_async.config import Settings
from ray_async.engine.protocol import ExecutionContext
from ray_async.ids import ActorID, JobID, NodeID, TaskID, WorkerID
from ray_async.runtime.session import core_hooks, read_errors, templates
from ray_async.runtime.session.exports import Exports
from ray_async.runtime.session.node_link import NodeLink
from ray_async.runtime.session.scheduling_classes import SchedulingClasses
from ray_async.runtime.session.state import SessionState
from ray_async.serialization.context_variables import ContextCarrier
from ray_async.transport.frames import decode_bytes

if TYPE_CHECKING:
    import asyncio
    from contextvars import Token

    from ray_async._core.arena import Arena
    from ray_async._core.submission import Template
    from ray_async.engine.objects import AddressInfo, ObjectLocation
    from ray_async.engine.protocol import ActorCore
    from ray_async.runtime.messages.session_description import SessionDescription
    from ray_async.runtime.session.groups import NodeGroups
    from ray_async.runtime.session.key_values import NodeKeyValues
    from ray_async.runtime.session.pending_calls import LimitedTemplate
    from ray_async.spec.actor_description import ActorDescription
    from ray_async.spec.actor_options import ActorOptions
    from ray_async.spec.class_description import ClassDescription
    from ray_async.spec.descriptors import ActorMeta, ClassDescriptor, FunctionDescriptor, MethodDescriptor
    from ray_async.spec.method_options import MethodOptions
    from ray_async.spec.task_options import TaskOptions
    from ray_async.transport.channel import Channel

__all__ = ("CoreSession",)


class CoreSession:
    """What drivers and workers have in common.

    Args:
        arena: the session's shared memory, joined.
        description: what the node says of the session.
        channel: a connection to the node that exists already.
    """

    is_driver = False

    @property
    def owns_node(self) -> bool:
        """True if this process started the node."""
        return False

    def __init__(self, arena: Arena, description: SessionDescription, channel: Channel | None = None) -> None:
        self.arena = arena
        self.description = description
        self.settings = Settings(description.get("system_config") or {})
        self.namespace: str = description["job"]["namespace"]
        self.job_number: int = description["job"]["id"]
        self.link = NodeLink(arena, description["session_dir"], lambda: self.node_died(), channel)
        self.classes = SchedulingClasses(self, self._class_added)
        self._loops: Any = None
        self._loops_lock = threading.Lock()
        self.exports = Exports(self)
        self.carrier = ContextCarrier(arena)
        core_hooks.install(self)

    def collect_loops(self) -> None:
        """Forget what loops that are closed by now still waited for."""
        if self._loops is not None:
            self._loops.collect()

    @property
    def loops(self) -> Any:
        """What awaits references; asyncio is imported with it."""
        if self._loops is None:
            from ray_async.runtime.awaiting.loops import Loops

            with self._loops_lock:  # the first loops may come in several threads at once
                if self._loops is None:
                    self._loops = Loops(self)
        return self._loops

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def task_template(self, function: FunctionDescriptor, options: TaskOptions) -> Template:
        """Prepare calls of a function."""
        return templates.task_template(self, function, options)

    def make_generator(self, cursor: Any) -> Any:
        """Wrap the reading end of a stream."""
        from ray_async.runtime.awaiting.generators import ObjectRefGenerator

        return ObjectRefGenerator(self, cursor)

    def inherited_group(self) -> tuple[str | None, bool]:
        """The placement group that children of what runs here go to, and whether there is one."""
        return None, False

    def _class_added(self, class_id: int, description: ClassDescription) -> None:
        """A new class is in the table."""

    # -- actors --------------------------------------------------------------------------------------------------------

    def create_actor(
        self, cls: ClassDescriptor, options: ActorOptions, args: tuple[object, ...], kwargs: dict[str, object] | None
    ) -> ActorCore:
        """Start an actor; returns at once.

        Raises:
            ActorAlreadyExistsError: the name is taken.
            ValueError: the actor fits in no bundle of its placement group.
        """
        from ray_async.runtime.session.actor_creation import create_actor  # many programs have no actors

        return create_actor(self, cls, options, args, kwargs)

    def actor_template(
        self, core: ActorCore, method: MethodDescriptor, options: MethodOptions
    ) -> Template | LimitedTemplate:
        """Prepare calls of a method.

        Raises:
            ActorHandleNotFoundError: the handle is from another session.
        """
        return templates.method_template(self, own_core(core), method, options)

    def actor_description(self, offset: int) -> ActorDescription:
        """Description of an actor, as its creator wrote it."""
        from ray_async.spec.actor_description import ActorDescription  # many programs have no actors

        return ActorDescription.decode(bytes(submission.read_actor_spec(self.arena, offset)))

    def get_actor(self, name: str, namespace: str | None) -> tuple[ActorCore, ActorMeta]:
        """Find a named actor.

        Raises:
            ValueError: there is none.
        """
        namespace = namespace if namespace is not None else self.namespace
        answer = self.ask("get_actor", name=name, namespace=namespace)
        if "actor" not in answer:
            raise ValueError(
                f"Failed to look up actor with name '{name}': there is none in namespace '{namespace}'. It may "
                "have died, or was created in another namespace."
            )
        core = submission.actor_at_offset(self.arena, answer["actor"])
        self.notify("actor_found", actor=answer["actor"])
        from ray_async.serialization.actor_metas import unpack

        return core, unpack(decode_bytes(answer["meta"]))

    def kill_actor(self, core: ActorCore, no_restart: bool) -> None:
        """End an actor's process."""
        self.ask("kill_actor", actor=own_core(core).entry, no_restart=no_restart)

    def is_elsewhere(self, core: ActorCore) -> bool | None:
        """Whether an actor lives on another machine; None when that is not decided yet."""
        place: bool | None = self.control("actor_elsewhere", actor=own_core(core).entry)
        return place

    def owner(self) -> str:
        """Id of the worker that what is created here ends with; "" for a driver, which its whole job ends with."""
        return ""

    def actor_exit(self) -> SystemExit:
        """What ends the actor whose method runs: a driver has none.

        Raises:
            TypeError: always.
        """
        raise TypeError("only an actor can end itself")

    def list_named_actors(self, all_namespaces: bool) -> list[dict[str, str]]:
        """Named actors as mappings of ``name`` and ``namespace``."""
        found: list[dict[str, str]] = self.control(
            "list_named_actors", all_namespaces=all_namespaces, namespace=self.namespace
        )
        return found

    def actor_id_of(self, offset: int) -> ActorID:
        """Id of the actor at an offset."""
        return ActorID(submission.actor_at_offset(self.arena, offset).actor_id)

    # -- objects -------------------------------------------------------------------------------------------------------

    def get(self, refs: list[Any], timeout: float | None) -> list[Any]:
        """Wait for values, or raise the error of the first reference that has one."""
        try:
            return list(store.get(self.arena, refs, timeout))
        except errors.GetTimeoutError as error:
            raise read_errors.explain_timeout(self, error, refs, timeout) from error.__cause__

    def locations(self, refs: list[Any], limit_s: float | None = None) -> list[ObjectLocation]:
        """Size of each object (None: not there yet), logical nodes that have a copy, and whether it is on disk."""
        return read_errors.locations(self.arena, self.control("node_numbers", limit_s=limit_s), refs)

    def put(self, value: Any) -> Any:
        """Store a value and return its reference."""
        return store.put(self.arena, value)

    def wait(
        self, refs: list[Any], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[Any], list[Any]]:
        """Wait until some references (or generators' next items) are ready; both lists keep the order given."""
        plain = [ref if type(ref) is object_ref.ObjectRef else self._waited(ref) for ref in refs]
        ready, rest = store.wait(self.arena, plain, num_returns, timeout, fetch_local)
        if plain == refs:
            return ready, rest
        chosen = set(map(id, ready))
        pairs = list(zip(refs, plain, strict=True))
        return [a for a, b in pairs if id(b) in chosen], [a for a, b in pairs if id(b) not in chosen]

    @staticmethod
    def _waited(waitable: Any) -> Any:
        cursor = getattr(waitable, "_cursor", None)
        if cursor is None:
            return waitable
        return cursor.current if cursor.current is not None else cursor.done

    def arrivals(self, refs: list[Any]) -> Any:
        """Watch references (or generators' next items) on the running loop."""
        from ray_async.runtime.awaiting.ready_set import Arrivals

        return Arrivals(self, [self._waited(ref) for ref in refs])

    def is_ready(self, ref: Any) -> bool:
        """Whether an object exists or failed."""
        return bool(store.is_ready(self.arena, ref))

    def is_end(self, ref: Any) -> bool:
        """Whether a stream's item is the mark of its end."""
        return bool(store.describe(self.arena, ref)["state"] == EntryState.END)

    def thread_future(self, ref: Any) -> Any:
        """Wait for a reference as a `concurrent.futures.Future`."""
        from ray_async.runtime.awaiting.thread_future import thread_future

        return thread_future(self, ref)

    def free(self, refs: list[Any]) -> None:
        """Give objects' memory back while references to them exist; reading one then raises ObjectFreedError."""
        for ref in refs:
            payload = errors.to_payload(errors.ObjectFreedError(ref.hex()))
            store.overwrite(self.arena, ref, payload)

    def cancel(self, ref: Any, force: bool, recursive: bool) -> None:
        """Cancel a task: that has happened when this returns, and its worker is notified.

        Raises:
            ValueError: ``force`` for an actor's call.
        """
        target = ref._cursor.done if hasattr(ref, "_cursor") else ref
        record = submission.record_of(target)
        if not record:
            return
        if force and submission.is_actor_call(self.arena, record):
            raise ValueError("force=True is not supported for actor tasks: kill the actor instead")
        cancellation.cancel(self.arena, record, force, self._cancelled, recursive)

    def _cancelled(self, record: int) -> bytes:
        """What the references of a cancelled task hold."""
        return errors.to_payload(errors.TaskCancelledError(self.task_id_of(record)))

    def enter_scope(self) -> tuple[int, Token[int]]:
        """Open a cancel scope around what the calling thread or asyncio task submits: ``(scope, token)``."""
        return submission.enter_scope(self.arena)

    def leave_scope(self, token: Token[int]) -> None:
        """Close a cancel scope; what was started in it goes on."""
        submission.leave_scope(token)

    def cancel_scope(self, scope: int) -> None:
        """Cancel everything that was started in a scope; the node goes on with what may still be started in it."""
        cancellation.cancel_scopes(self.arena, (scope,), self._cancelled)
        self.notify("cancel_scope", scope=scope)

    # -- the node ------------------------------------------------------------------------------------------------------

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request to the node and return its answer.

        Raises:
            NodeDiedError: the node is gone.
            RaySystemError: the node refused.
        """
        return self.link.ask(op, **fields)

    def notify(self, op: str, **fields: Any) -> None:
        """Send the node a message that has no answer."""
        self.link.notify(op, **fields)

    def offer(self, op: str, **fields: Any) -> None:
        """Send the node a message that has no answer and that it can do without; never waits."""
        self.link.offer(op, **fields)

    def control(self, op: str, **fields: Any) -> Any:
        """Ask the node for anything else; JSON in, JSON out. ``limit_s`` is as in `NodeLink.ask`."""
        return self.ask(op, **fields).get("value")

    def promise(self, op: str, value: Any, **fields: Any) -> Any:
        """Ask the node for something that it answers later, as a reference whose value is ``value``."""
        holder = store.put(self.arena, value)
        promise = store.new_promise(self.arena)
        self.ask(
            op,
            promise=store.describe(self.arena, promise)["offset"],
            holder=store.describe(self.arena, holder)["offset"],
            **fields,
        )
        return promise

    @property
    def groups(self) -> NodeGroups:
        """The placement groups of the session."""
        from ray_async.runtime.session.groups import NodeGroups

        return NodeGroups(self.ask, self.promise)

    @property
    def key_values(self) -> NodeKeyValues:
        """What processes of the session leave for each other."""
        from ray_async.runtime.session.key_values import NodeKeyValues

        return NodeKeyValues(self.ask)

    @property
    def state(self) -> SessionState:
        """What there is in the session."""
        return SessionState(self.ask)

    def result_is_wanted(self) -> bool:
        """Whether anybody can still read what the running call returns: a driver's code is no call."""
        return True

    def node_fd(self) -> int:
        """A descriptor that is readable once the node is gone; -1 for none."""
        return int(self.arena.node_fd)

    def node_died(self) -> BaseException:
        """The error for those who wait when the node is gone."""
        return errors.NodeDiedError("the node process of this session has died: its tasks, actors and objects are lost")

    def own_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of a process that has one but does not run it at the moment."""
        raise RuntimeError("no running event loop: await references in a coroutine, or use get()")

    def address_info(self) -> AddressInfo:
        """Addresses of the session's parts."""
        description = self.description
        return {
            "node_ip_address": description["node_ip"],
            "object_store_address": description["session_dir"],
            "raylet_socket_name": os.path.join(description["session_dir"], "node.sock"),
            "webui_url": "",
            "session_dir": description["session_dir"],
            "metrics_export_port": 0,
            "gcs_address": description["address"],
            "address": description["address"],
            "dashboard_agent_listening_port": 0,
            "node_id": description["node_id"],
        }

    # -- context -------------------------------------------------------------------------------------------------------

    def task_id_of(self, record: int) -> TaskID:
        """Id of the task that a record is."""
        return TaskID(submission.task_id(self.arena, record))

    def context(self) -> ExecutionContext:
        """What the calling thread or coroutine is executing."""
        return ExecutionContext(
            job_id=JobID.from_int(self.job_number),
            node_id=NodeID.from_hex(self.description["node_id"]),
            worker_id=self.worker_id(),
            is_driver=True,
            runtime_env=self.description.get("runtime_env") or {},
            namespace=self.namespace,
            session_name=os.path.basename(self.description["session_dir"]),
            temp_dir=os.path.dirname(self.description["session_dir"]),
            spill_dir=self.description.get("spill_path", ""),
            address=self.description["address"],
        )

    def worker_id(self) -> WorkerID:
        """Id of this process."""
        return WorkerID((b"%08x" % self.arena.uid) + self.arena.session + b"\0\0\0\0")

    def dumps(self, value: Any) -> bytes:
        """Pickle with the session's serializers; references inside are kept to the end of the session."""
        from ray_async.serialization import pickling as serialization

        return bytes(serialization.dumps(value))

    def close(self, wait_for_processes: bool = False) -> None:
        """Leave the session."""
        self.leave_arena()
        self.link.close()

    def leave_arena(self) -> None:
        """Touch the shared memory no more."""
        gpu = sys.modules.get("ray_async.gpu.agent")  # nobody else imports it before there is an array on a GPU
        if gpu is not None:
            gpu.close_agents(keep=not self.owns_node)
        if self._loops is not None:
            self._loops.close()
        self.exports.clear()
        self.classes.clear()
        self.arena.close()
        core_hooks.remove()


def own_core(core: ActorCore) -> submission.ActorCore:
    """An actor of the session that there is.

    Raises:
        ActorHandleNotFoundError: the handle is from another session.
    """
    if not isinstance(core, submission.ActorCore) or not core.usable:
        raise errors.ActorHandleNotFoundError("this actor handle belongs to a session that has been shut down")
    return core
