"""A process's session: what drivers' and workers' have in common."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import cancellation, object_ref, store, submission
from ray_async._core.constants import EntryState, RecordKind
from ray_async.config import DEFAULT_ASYNC_TASK_CONCURRENCY, Settings
from ray_async.engine.protocol import ExecutionContext
from ray_async.ids import ActorID, JobID, NodeID, TaskID, WorkerID
from ray_async.runtime import placement_spec
from ray_async.runtime.session import core_hooks, reading
from ray_async.runtime.session.call_options import call_options, creation_options
from ray_async.runtime.session.context_variables import ContextCarrier
from ray_async.runtime.session.exports import Exports
from ray_async.runtime.session.node_link import NodeLink
from ray_async.runtime.session.scheduling_classes import SchedulingClasses
from ray_async.runtime.session.state import SessionState
from ray_async.spec.descriptors import ActorMeta, ClassDescriptor, FunctionDescriptor, MethodDescriptor
from ray_async.spec.options import ActorOptions, MethodOptions, TaskOptions
from ray_async.transport.frames import decode_bytes, encode_bytes

if TYPE_CHECKING:
    import asyncio

    from ray_async.runtime.session.groups import NodeGroups
    from ray_async.runtime.session.key_values import NodeKeyValues

__all__ = ("CoreSession",)


class CoreSession:
    """What drivers and workers have in common.

    Args:
        arena: the session's shared memory, joined.
        facts: what the node says of the session: node_ip, session_dir, job, node_id, namespace, address...
        channel: a connection to the node that exists already.
    """

    is_driver = False

    @property
    def owns_node(self) -> bool:
        """True if this process started the node."""
        return False

    def __init__(self, arena: Any, facts: dict[str, Any], channel: Any = None) -> None:
        self.arena = arena
        self.facts = facts
        self.settings = Settings(facts.get("system_config") or {})
        self.namespace: str = facts["job"]["namespace"]
        self.job_number: int = facts["job"]["id"]
        self.link = NodeLink(arena, facts["session_dir"], lambda: self.node_died(), channel)
        self._classes = SchedulingClasses(self, self._class_added)
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

    def task_template(self, function: FunctionDescriptor, options: TaskOptions) -> Any:
        """Prepare calls of a function."""
        facts = {
            "kind": "function",
            "name": function.name,
            "qualname": f"{function.module}.{function.name}",
            "is_async": function.is_async,
            "is_generator": function.is_generator,
            "max_calls": options.max_calls,
        }
        is_async = function.is_async and options.num_returns != "dynamic"
        spec = self._classes.describe(options)
        placement_spec.check_fits(function.name, options, options.resources)
        spec["kind"] = "async" if is_async else "sync"
        if is_async:
            spec["tasks_per_worker"] = self.settings.get(DEFAULT_ASYNC_TASK_CONCURRENCY)
        export, used = self.exports.export(facts, function.function), self._classes.use(spec)
        return submission.Template(
            self.arena,
            export.ref,
            opts=call_options(self.arena, options, function.name),
            queue=used.queue,
            keep=(export, used),
            retries=options.max_retries,
            kind=RecordKind.TASK,
            retry_errors=bool(options.retry_exceptions),
            is_async=is_async,
            backpressure=max(0, options.generator_backpressure or 0),
            **self._returns(options),
        )

    def _returns(self, options: TaskOptions | MethodOptions) -> dict[str, Any]:
        if options.num_returns == "streaming":
            return {"n_returns": -1, "make_generator": self.make_generator, "detached": options.generator_detached}
        if options.num_returns == "dynamic":
            return {"n_returns": 1}
        return {"n_returns": options.num_returns}

    def make_generator(self, cursor: Any) -> Any:
        """Wrap the reading end of a stream."""
        from ray_async.runtime.awaiting.generators import ObjectRefGenerator

        return ObjectRefGenerator(self, cursor)

    def inherited_group(self) -> tuple[str | None, bool]:
        """The placement group that children of what runs here go to, and whether there is one."""
        return None, False

    def _class_added(self, class_id: int, spec: dict[str, Any]) -> None:
        """A new class is in the table."""

    # -- actors --------------------------------------------------------------------------------------------------------

    def create_actor(
        self, cls: ClassDescriptor, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any] | None
    ) -> Any:
        """Start an actor; returns at once.

        Raises:
            ActorAlreadyExistsError: the name is taken.
            ValueError: the actor fits in no bundle of its placement group.
        """
        namespace = options.namespace if options.namespace is not None else self.namespace
        spec = self._classes.describe(options)
        placement_spec.check_fits(cls.qualname, options, {**options.placement_resources, **options.resources})
        lifetime = options.lifetime or self.facts["job"].get("default_actor_lifetime") or "non_detached"
        spec.update(
            name=options.name or "",
            namespace=namespace,
            detached=lifetime == "detached",
            owner=self.owner(),
            placement_resources=dict(options.placement_resources),
            max_restarts=options.max_restarts,
            max_task_retries=options.max_task_retries,
            max_concurrency=options.max_concurrency,
            max_pending_calls=options.max_pending_calls,
            concurrency_groups=dict(options.concurrency_groups),
            is_async=options.is_async,
            run_in_thread=options.run_in_thread,
            ordered=not options.allow_out_of_order,
            class_name=cls.name,
            module=cls.module,
            backpressure=options.generator_backpressure or 0,
            enable_task_events=options.enable_task_events,
            own_labels=dict(options.labels or {}),
        )
        facts = {
            "kind": "class",
            "name": f"{cls.name}.__init__",
            "qualname": f"{cls.module}.{cls.qualname}",
            "options": {"max_concurrency": options.max_concurrency},
        }
        export = self.exports.export(facts, cls.cls, cls)
        core = submission.new_actor(self.arena, store.put_raw(self.arena, placement_spec.encode(spec)))
        if options.name:
            from ray_async.runtime.session.actor_metas import pack  # not needed before an actor has a name

            self._register_name(core, options.name, namespace, pack(cls.meta))
        opts = creation_options(self.arena, options.enable_task_events)
        template = submission.Template(
            self.arena, export.ref, opts=opts, actor=core, n_returns=1, kind=RecordKind.ACTOR_INIT
        )
        submission.submit_actor(core, template, args, kwargs)
        return core

    def _register_name(self, core: Any, name: str, namespace: str, meta: bytes) -> None:
        answer = self.ask("name_actor", actor=core.entry, name=name, namespace=namespace, meta=encode_bytes(meta))
        if answer.get("taken"):
            raise errors.ActorAlreadyExistsError(
                f"The name {name} (namespace={namespace}) is already taken. Please use a different name, or "
                "get the existing actor with get_actor()."
            )

    def actor_template(self, core: Any, method: MethodDescriptor, options: MethodOptions) -> Any:
        """Prepare calls of a method.

        Raises:
            RaySystemError: the handle is from another session.
        """
        if not core.usable:
            raise errors.ActorHandleNotFoundError("this actor handle belongs to a session that has been shut down")
        spec = json.loads(self.actor_spec(core.entry))
        retries = options.max_task_retries if options.max_task_retries is not None else spec["max_task_retries"]
        facts: dict[str, Any] = {
            "kind": "method",
            "method": method.name,
            "qualname": f"{spec['module']}.{spec['class_name']}.{method.name}",
            "name": f"{spec['class_name']}.{method.name}",
            "group": method.options.concurrency_group,
            "is_async": method.is_async,
            "is_generator": method.is_generator,
        }
        in_thread = options.run_in_thread if options.run_in_thread is not None else spec["run_in_thread"]
        if in_thread and spec["is_async"] and not method.is_async:
            facts["options"] = {"thread": True}
        export = self.exports.export(facts)
        template = submission.Template(
            self.arena,
            export.ref,
            keep=export,
            opts=call_options(self.arena, options, facts["name"], spec["enable_task_events"]),
            actor=core,
            retries=retries,
            kind=RecordKind.ACTOR_CALL,
            retry_errors=bool(options.retry_exceptions) and retries != 0,
            is_async=method.is_async,
            backpressure=max(0, options.generator_backpressure or spec["backpressure"]),
            **self._returns(options),
        )
        if spec["max_pending_calls"] > 0:
            from ray_async.runtime.session.pending_calls import LimitedTemplate

            return LimitedTemplate(self, core, template, spec["max_pending_calls"], spec["class_name"])
        return template

    def actor_spec(self, offset: int) -> bytes:
        """Description of an actor, as its creator wrote it."""
        return bytes(submission.read_actor_spec(self.arena, offset))

    def get_actor(self, name: str, namespace: str | None) -> tuple[Any, ActorMeta]:
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
        self.tell("actor_found", actor=answer["actor"])
        from ray_async.runtime.session.actor_metas import unpack

        return core, unpack(decode_bytes(answer["meta"]))

    def kill_actor(self, core: Any, no_restart: bool) -> None:
        """End an actor's process."""
        if not core.usable:
            raise errors.ActorHandleNotFoundError("this actor handle belongs to a session that has been shut down")
        self.ask("kill_actor", actor=core.entry, no_restart=no_restart)

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
            raise reading.explain_timeout(self, error, refs, timeout) from error.__cause__

    def locations(self, refs: list[Any], limit_s: float | None = None) -> list[dict[str, Any]]:
        """Size of each object (None: not there yet), logical nodes that have a copy, and whether it is on disk."""
        return reading.locations(self.arena, self.control("node_numbers", limit_s=limit_s), refs)

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
        from ray_async.runtime.awaiting.arrivals import Arrivals

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
        """Cancel a task: that has happened when this returns, and its worker is told.

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

    def enter_scope(self) -> tuple[int, Any]:
        """Open a cancel scope around what the calling thread or asyncio task submits: ``(scope, token)``."""
        return submission.enter_scope(self.arena)

    def leave_scope(self, token: Any) -> None:
        """Close a cancel scope; what was started in it goes on."""
        submission.leave_scope(token)

    def cancel_scope(self, scope: int) -> None:
        """Cancel everything that was started in a scope; the node goes on with what may still be started in it."""
        cancellation.cancel_scopes(self.arena, (scope,), self._cancelled)
        self.tell("cancel_scope", scope=scope)

    # -- the node ------------------------------------------------------------------------------------------------------

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request to the node and return its answer.

        Raises:
            NodeDiedError: the node is gone.
            RaySystemError: the node refused.
        """
        return self.link.ask(op, **fields)

    def tell(self, op: str, **fields: Any) -> None:
        """Send the node a message that has no answer."""
        self.link.tell(op, **fields)

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

    def address_info(self) -> dict[str, Any]:
        """Addresses of the session's parts."""
        facts = self.facts
        return {
            "node_ip_address": facts["node_ip"],
            "object_store_address": facts["session_dir"],
            "raylet_socket_name": os.path.join(facts["session_dir"], "node.sock"),
            "webui_url": "",
            "session_dir": facts["session_dir"],
            "metrics_export_port": 0,
            "gcs_address": facts["address"],
            "address": facts["address"],
            "dashboard_agent_listening_port": 0,
            "node_id": facts["node_id"],
        }

    # -- context -------------------------------------------------------------------------------------------------------

    def task_id_of(self, record: int) -> TaskID:
        """Id of the task that a record is."""
        return TaskID(submission.task_id(self.arena, record))

    def context(self) -> ExecutionContext:
        """What the calling thread or coroutine is executing."""
        return ExecutionContext(
            job_id=JobID.from_int(self.job_number),
            node_id=NodeID.from_hex(self.facts["node_id"]),
            worker_id=self.worker_id(),
            is_driver=True,
            runtime_env=self.facts.get("runtime_env") or {},
            namespace=self.namespace,
            session_name=os.path.basename(self.facts["session_dir"]),
            temp_dir=os.path.dirname(self.facts["session_dir"]),
            spill_dir=self.facts.get("spill_path", ""),
            address=self.facts["address"],
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
        if self._loops is not None:
            self._loops.close()
        self.exports.clear()
        self._classes.clear()
        self.arena.close()
        core_hooks.remove()
