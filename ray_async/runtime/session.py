"""A process's connection to a node: drivers' and workers' sessions."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import arena as arena_module
from ray_async._core import cancellation, codec, object_ref, store, submission
from ray_async.descriptors import ActorMeta, ClassDescriptor, FunctionDescriptor, MethodDescriptor
from ray_async.ids import ActorID, JobID, NodeID, PlacementGroupID, TaskID, WorkerID
from ray_async.options import ActorOptions, MethodOptions, TaskOptions
from ray_async.runtime import placement_spec
from ray_async.runtime.exports import Exports
from ray_async.runtime.session_protocol import ExecutionContext
from ray_async.transport.frames import decode_bytes

if TYPE_CHECKING:
    import asyncio

__all__ = ("CoreSession", "WorkerSession")

_NODE_START_S = 30.0
_NODE_DOWN = 2
KIND_TASK, KIND_ACTOR_INIT, KIND_ACTOR_CALL = 0, 1, 2


class CoreSession:
    """What drivers and workers have in common.

    Args:
        arena: the session's shared memory, joined.
        facts: what the node says of the session: node_ip, session_dir, job, node_id, namespace, address...
    """

    is_driver = False

    def __init__(self, arena: Any, facts: dict[str, Any]) -> None:
        self.arena = arena
        self.facts = facts
        self.namespace: str = facts["job"]["namespace"]
        self.job_number: int = facts["job"]["id"]
        self._classes: dict[bytes, tuple[int, int, Any]] = {}
        self._lock = threading.RLock()
        self._channel: Any = None
        self._loops: Any = None
        self.exports = Exports(self)
        self._install_hooks()
        arena_module.set_current(arena)

    @property
    def loops(self) -> Any:
        """What awaits references; asyncio is imported with it."""
        if self._loops is None:
            from ray_async.runtime.loops import Loops

            self._loops = Loops(self)
        return self._loops

    def _install_hooks(self) -> None:
        from ray_async import serialization
        from ray_async.runtime import reading
        from ray_async.runtime.context_variables import ContextCarrier

        # The hooks outlive the session, and must not keep it: all of the shared memory stays mapped with it.
        this = weakref.ref(self)

        def live() -> CoreSession:
            session = this()
            if session is None:
                raise ValueError("this object reference belongs to a session that has been shut down")
            return session

        arena_module.set_hooks(full=reading.store_full, node_died=lambda: live().node_died())
        codec.set_hooks(make_pickler=serialization.make_pickler, explain=serialization.explain)
        store.set_hooks(
            raise_error=reading.raise_error, timed_out=reading.timed_out, node_died=lambda: live().node_died()
        )
        self._carrier = ContextCarrier(self.arena)
        submission.set_hooks(carry=lambda options: live()._carrier.carry(options))
        object_ref.set_hooks(
            wait=lambda ref: live().loops.wait(ref),
            future=lambda ref: live()._thread_future(ref),
            as_future=lambda ref: live().loops.as_future(ref),
            as_coroutine=lambda ref: live().loops.value(ref),
            out_of_band=reading.check_out_of_band,
        )

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
        spec = self._spec(options)
        placement_spec.check_fits(function.name, options, options.resources)
        spec["kind"] = "async" if is_async else "sync"
        if is_async:
            spec["tasks_per_worker"] = 100
        _, queue, _ = self._class(spec)
        return submission.Template(
            self.arena,
            self.exports.export(facts, function.function),
            opts=self._call_options(options, function.name),
            queue=queue,
            retries=options.max_retries,
            kind=KIND_TASK,
            retry_errors=bool(options.retry_exceptions),
            is_async=is_async,
            backpressure=max(0, options.generator_backpressure or 0),
            **self._returns(options.num_returns),
        )

    def _returns(self, num_returns: int | str) -> dict[str, Any]:
        if num_returns == "streaming":
            return {"n_returns": -1, "make_generator": self.make_generator}
        if num_returns == "dynamic":
            return {"n_returns": 1}
        return {"n_returns": num_returns}

    def make_generator(self, cursor: Any) -> Any:
        """Wrap the reading end of a stream."""
        from ray_async.runtime.generators import ObjectRefGenerator

        return ObjectRefGenerator(self, cursor)

    def _call_options(self, options: Any, name: str) -> Any:
        """Rarely set options, stored once for all calls of a template; None when there are none."""
        found: dict[str, Any] = {}
        if options.name is not None and options.name != name:
            found["name"] = options.name
        if isinstance(options.retry_exceptions, tuple):
            found["retry_exceptions"] = options.retry_exceptions
        if options.num_returns == "dynamic":
            found["dynamic"] = True
        if getattr(options, "concurrency_group", None):
            found["concurrency_group"] = options.concurrency_group
        return store.put(self.arena, found) if found else None

    def _spec(self, options: Any) -> dict[str, Any]:
        group, captures = self.inherited_group()
        spec = placement_spec.describe(options, inherited_group=group, captures=captures)
        spec["job"] = self.job_number
        environment = self._environment(options.runtime_env)
        if environment:
            from ray_async.runtime_env.worker_setup import environment_key

            spec["runtime_env"] = environment
            spec["env_key"] = f"{self.job_number}:{environment_key(environment)}"
        else:
            spec["env_key"] = f"{self.job_number}:"
        return spec

    def inherited_group(self) -> tuple[str | None, bool]:
        """The placement group that children of what runs here go to, and whether there is one."""
        return None, False

    def _environment(self, given: Any) -> dict[str, Any]:
        """The environment of a call: the job's (or the running task's), with what is given merged over it."""
        own = self.facts.get("runtime_env") or {}
        if not given:
            return dict(own)
        from ray_async.runtime_env.packaging import package_env
        from ray_async.runtime_env.runtime_env import merge_runtime_env

        return dict(package_env(merge_runtime_env(own, given), self.facts["session_dir"]))

    def _class(self, spec: dict[str, Any]) -> tuple[int, int, Any]:
        """The scheduling class with this description: ``(id, queue, reference of the description)``."""
        key = placement_spec.encode(spec)
        with self._lock:
            found = self._classes.get(key)
            if found is None:
                ref = store.put_raw(self.arena, key)
                class_id, queue = submission.new_class(self.arena, ref)
                found = self._classes[key] = (class_id, queue, ref)
                self._class_added(class_id, spec)
            return found

    def _class_added(self, class_id: int, spec: dict[str, Any]) -> None:
        """A new class is in the table."""

    def class_spec(self, class_id: int) -> bytes:
        """Description of a class, as its creator wrote it."""
        return bytes(submission.read_class_spec(self.arena, class_id))

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
        spec = self._spec(options)
        placement_spec.check_fits(cls.qualname, options, {**options.placement_resources, **options.resources})
        lifetime = options.lifetime or self.facts["job"].get("default_actor_lifetime") or "non_detached"
        spec.update(
            name=options.name or "",
            namespace=namespace,
            detached=lifetime == "detached",
            placement_resources=dict(options.placement_resources),
            max_restarts=options.max_restarts,
            max_task_retries=options.max_task_retries,
            max_concurrency=options.max_concurrency,
            max_pending_calls=options.max_pending_calls,
            concurrency_groups=dict(options.concurrency_groups),
            is_async=options.is_async,
            class_name=cls.name,
            module=cls.module,
            backpressure=options.generator_backpressure or 0,
        )
        facts = {
            "kind": "class",
            "name": f"{cls.name}.__init__",
            "qualname": f"{cls.module}.{cls.qualname}",
            "options": {"max_concurrency": options.max_concurrency},
        }
        fn = self.exports.export(facts, cls.cls)
        meta = self.dumps(cls.meta)
        core = submission.new_actor(self.arena, store.put_raw(self.arena, placement_spec.encode(spec)))
        if options.name:
            self._register_name(core, options.name, namespace, meta)
        template = submission.Template(self.arena, fn, actor=core, n_returns=1, kind=KIND_ACTOR_INIT)
        submission.submit_actor(core, template, args, kwargs)
        return core

    def _register_name(self, core: Any, name: str, namespace: str, meta: bytes) -> None:
        from ray_async.transport.frames import encode_bytes

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
        spec = self._actor_spec(core)
        retries = options.max_task_retries if options.max_task_retries is not None else spec["max_task_retries"]
        facts = {
            "kind": "method",
            "method": method.name,
            "qualname": f"{spec['module']}.{spec['class_name']}.{method.name}",
            "name": f"{spec['class_name']}.{method.name}",
            "group": method.options.concurrency_group,
            "is_async": method.is_async,
            "is_generator": method.is_generator,
        }
        template = submission.Template(
            self.arena,
            self.exports.export(facts),
            opts=self._call_options(options, f"{spec['class_name']}.{method.name}"),
            actor=core,
            retries=retries,
            kind=KIND_ACTOR_CALL,
            retry_errors=bool(options.retry_exceptions) and retries != 0,
            is_async=method.is_async,
            backpressure=max(0, options.generator_backpressure or spec["backpressure"]),
            **self._returns(options.num_returns),
        )
        if spec["max_pending_calls"] > 0:
            from ray_async.runtime.pending_calls import LimitedTemplate

            return LimitedTemplate(self, core, template, spec["max_pending_calls"], spec["class_name"])
        return template

    def _actor_spec(self, core: Any) -> dict[str, Any]:
        import json

        spec: dict[str, Any] = json.loads(submission.read_actor_spec(self.arena, core.entry))
        return spec

    def actor_spec(self, offset: int) -> bytes:
        """Description of an actor, as its creator wrote it."""
        return bytes(submission.read_actor_spec(self.arena, offset))

    def get_actor(self, name: str, namespace: str | None) -> tuple[Any, ActorMeta]:
        """Find a named actor.

        Raises:
            ValueError: there is none.
        """
        import pickle

        namespace = namespace if namespace is not None else self.namespace
        answer = self.ask("get_actor", name=name, namespace=namespace)
        if "actor" not in answer:
            raise ValueError(
                f"Failed to look up actor with name '{name}': there is none in namespace '{namespace}'. It may "
                "have died, or was created in another namespace."
            )
        core = submission.actor_at_offset(self.arena, answer["actor"])
        self.tell("actor_found", actor=answer["actor"])
        meta: ActorMeta = pickle.loads(decode_bytes(answer["meta"]))
        return core, meta

    def kill_actor(self, core: Any, no_restart: bool) -> None:
        """End an actor's process."""
        if not core.usable:
            raise errors.ActorHandleNotFoundError("this actor handle belongs to a session that has been shut down")
        self.ask("kill_actor", actor=core.entry, no_restart=no_restart)

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
        return list(store.get(self.arena, refs, timeout))

    def put(self, value: Any) -> Any:
        """Store a value and return its reference."""
        return store.put(self.arena, value)

    def wait(
        self, refs: list[Any], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[Any], list[Any]]:
        """Wait until some references (or generators' next items) are ready; both lists keep the order given."""
        plain = [ref if type(ref) is object_ref.ObjectRef else self._waited(ref) for ref in refs]
        ready, rest = store.wait(self.arena, plain, num_returns, timeout)
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
        from ray_async.runtime.arrivals import Arrivals

        return Arrivals(self, [self._waited(ref) for ref in refs])

    def is_ready(self, ref: Any) -> bool:
        """Whether an object exists or failed."""
        return bool(store.is_ready(self.arena, ref))

    def is_end(self, ref: Any) -> bool:
        """Whether a stream's item is the mark of its end."""
        return bool(store.describe(self.arena, ref)["state"] == 4)

    def _thread_future(self, ref: Any) -> Any:
        from ray_async.runtime.thread_future import thread_future

        return thread_future(self, ref)

    def free(self, refs: list[Any]) -> None:
        """Give objects' memory back while references to them exist; reading one then raises ObjectFreedError."""
        for ref in refs:
            payload = errors.to_payload(errors.ObjectFreedError(ref.hex()))
            store.overwrite(self.arena, ref, payload)

    def cancel(self, ref: Any, force: bool, recursive: bool) -> None:
        """Ask for a task to be cancelled.

        Raises:
            ValueError: ``force`` for an actor's call.
        """
        target = ref._cursor.done if hasattr(ref, "_cursor") else ref
        record = submission.record_of(target)
        if not record:
            return
        if force and submission.is_actor_call(self.arena, record):
            raise ValueError("force=True is not supported for actor tasks: kill the actor instead")
        payload = errors.to_payload(errors.TaskCancelledError(TaskID(target.binary()[:24])))
        outcome = cancellation.cancel(self.arena, record, force, payload)
        if recursive and outcome != cancellation.DROPPED:
            self.tell("cancel_children", record=record, seq=submission.record_seq(self.arena, record), force=force)

    def enter_scope(self) -> tuple[int, Any]:
        """Open a cancel scope around what the calling thread or asyncio task submits: ``(scope, token)``."""
        return submission.enter_scope(self.arena)

    def leave_scope(self, token: Any) -> None:
        """Close a cancel scope; what was started in it goes on."""
        submission.leave_scope(token)

    def cancel_scope(self, scope: int) -> None:
        """Ask for everything that was started in a scope to be cancelled."""
        self.tell("cancel_scope", scope=scope)

    # -- the node ------------------------------------------------------------------------------------------------------

    def channel(self) -> Any:
        """The control connection, made at first use."""
        with self._lock:
            if self._channel is None:
                from ray_async.transport.channel import Channel

                self._channel = Channel(self._connect())
                self._channel.send("hello", slot=self.arena.slot, pid=os.getpid())
            return self._channel

    def _connect(self) -> Any:
        """Connect to the node, which may still be on its way up when its first worker runs already."""
        from ray_async.transport.channel import connect_unix

        path = os.path.join(self.facts["session_dir"], "node.sock")
        deadline = time.monotonic() + _NODE_START_S
        while True:
            try:
                return connect_unix(path)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if time.monotonic() > deadline or self.arena.node_state == _NODE_DOWN:
                    raise self.node_died() from error
                time.sleep(0.005)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request to the node and return its answer.

        Raises:
            NodeDiedError: the node is gone.
            RaySystemError: the node refused.
        """
        from ray_async.transport.channel import ChannelClosedError

        try:
            answer: dict[str, Any] = self.channel().request(op, **fields)
        except ChannelClosedError as error:
            raise self.node_died() from error
        if "error" in answer:
            raise _remote_error(answer)
        return answer

    def tell(self, op: str, **fields: Any) -> None:
        """Send the node a message that has no answer."""
        from ray_async.transport.channel import ChannelClosedError

        try:
            self.channel().send(op, **fields)
        except ChannelClosedError as error:
            raise self.node_died() from error

    def control(self, op: str, **fields: Any) -> Any:
        """Ask the node for anything else; JSON in, JSON out."""
        if op == "free":
            return self.free(fields["refs"])
        return self.ask(op, **fields).get("value")

    def control_ref(self, op: str, **fields: Any) -> Any:
        """Ask the node for something that it answers later, as a reference whose value is ``value``."""
        value = fields.pop("value", None)
        holder = store.put(self.arena, value)
        promise = store.new_promise(self.arena)
        self.ask(
            op,
            promise=store.describe(self.arena, promise)["offset"],
            holder=store.describe(self.arena, holder)["offset"],
            **fields,
        )
        return promise

    def node_fd(self) -> int:
        """A descriptor that is readable once the node is gone; -1 for none."""
        return int(self.arena.node_fd)

    def node_died(self) -> BaseException:
        """The error for those who wait when the node is gone."""
        return errors.NodeDiedError("the node process of this session has died: its tasks, actors and objects are lost")

    def own_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of a process that has one but does not run it at the moment."""
        raise RuntimeError("no running event loop: await references in a coroutine, or use get()")

    def nodes(self) -> list[dict[str, Any]]:
        """Describe the nodes."""
        return list(self.control("nodes"))

    def cluster_resources(self) -> dict[str, float]:
        """Sum what the nodes have."""
        return dict(self.control("cluster_resources"))

    def available_resources(self) -> dict[str, float]:
        """Sum what the nodes have free."""
        return dict(self.control("available_resources"))

    def timeline(self) -> list[dict[str, Any]]:
        """Events of finished tasks in Chrome's trace format."""
        return list(self.control("timeline"))

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
            address=self.facts["address"],
        )

    def worker_id(self) -> WorkerID:
        """Id of this process."""
        return WorkerID((b"%08x" % self.arena.uid) + self.arena.session + b"\0\0\0\0")

    def dumps(self, value: Any) -> bytes:
        """Pickle with the session's serializers; references inside are kept to the end of the session."""
        from ray_async import serialization

        return bytes(serialization.dumps(value))

    def close(self, wait_for_processes: bool = False) -> None:
        """Leave the session."""
        if self._loops is not None:
            self._loops.close()
        self.exports.clear()
        self._classes.clear()
        self.arena.close()
        arena_module.clear_hooks()
        submission.set_hooks(carry=lambda options: options)
        arena_module.set_current(None)
        codec.forget_encoder()
        if self._channel is not None:
            self._channel.close()


class WorkerSession(CoreSession):
    """The session of a worker: of whatever it executes.

    Args:
        arena: the session's shared memory, joined.
        facts: the node's configuration of this worker.
        worker: the process.
    """

    def __init__(self, arena: Any, facts: dict[str, Any], worker: Any) -> None:
        self._worker = worker
        super().__init__(arena, facts)

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
        spec = self._worker.lease_facts
        if spec.get("group") and spec.get("capture"):
            return spec["group"], True
        return None, False

    def context(self) -> ExecutionContext:
        """What the calling thread or coroutine is executing."""
        from ray_async.runtime.worker.running import running

        worker = self._worker
        base = super().context()
        record = submission.current_parent()
        if not record:
            return base._replace(is_driver=False)
        now = running.get()
        definition = None if now else worker.executor.prepare(record)[1]
        spec = worker.lease_facts
        group = spec.get("group")
        is_actor = worker.actor != 0
        return base._replace(
            is_driver=False,
            task_id=self.task_id_of(record),
            task_name=now.name if now else (definition.name if definition else None),
            function_name=now.function_name if now else (definition.qualname if definition else None),
            actor_id=self.actor_id_of(worker.actor) if is_actor else None,
            actor_name=spec.get("name", "") if is_actor else None,
            actor=self._own_handle(worker) if is_actor else None,
            is_async_actor=bool(spec.get("is_async")) if is_actor else False,
            assigned_resources=spec.get("resources", {}),
            accelerator_ids={name: [str(i) for i in ids] for name, ids in spec.get("accelerators", {}).items()},
            placement_group_id=PlacementGroupID.from_hex(group) if group else None,
            captures_placement_group=bool(spec.get("capture")),
            was_reconstructed=is_actor and submission.actor_restarts(self.arena, worker.actor) > 0,
            is_canceled=worker.executor.is_cancelled(record),
        )

    def _own_handle(self, worker: Any) -> tuple[Any, ActorMeta]:
        meta = ClassDescriptor(type(worker.actor_instance), tuple(worker.lease_facts["concurrency_groups"])).meta
        return submission.actor_at_offset(self.arena, worker.actor), meta


def _remote_error(answer: dict[str, Any]) -> BaseException:
    kinds: dict[str, Callable[[str], BaseException]] = {"ValueError": ValueError, "RuntimeError": RuntimeError}
    return kinds.get(answer.get("kind", ""), errors.RaySystemError)(answer["error"])
