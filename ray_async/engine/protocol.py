"""The seam between the API and the runtime: what a session does, as protocols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from ray_async.ids import ActorID, JobID, NodeID, PlacementGroupID, TaskID, WorkerID
from ray_async.spec.actor_options import ActorOptions
from ray_async.spec.descriptors import ActorMeta, ClassDescriptor, FunctionDescriptor, MethodDescriptor
from ray_async.spec.method_options import MethodOptions
from ray_async.spec.task_options import TaskOptions

if TYPE_CHECKING:
    from contextvars import Token

    from ray_async._core.object_ref import ObjectRef
    from ray_async.engine.groups import PlacementGroups
    from ray_async.engine.key_values import KeyValueStore
    from ray_async.engine.objects import AddressInfo, ObjectLocation, ReadySet
    from ray_async.engine.state import State

__all__ = ("ActorCore", "CallTemplate", "ExecutionContext", "Session")

T = TypeVar("T")
W = TypeVar("W")  # what can be waited for: a reference, or a generator of references, which stands for its next one


class ExecutionContext(NamedTuple):
    """What the calling thread or coroutine is executing; ids are id objects, None where there is none.

    Args:
        job_id, node_id, worker_id: Where it runs.
        task_id: The task, or None in a driver outside tasks.
        task_name: Its name.
        function_name: Module and qualified name of its function.
        actor_id: The actor whose method runs.
        actor_name: The actor's name, "" when it has none.
        actor: A handle's opaque core and meta of that actor.
        is_driver: Whether the process is a driver.
        is_async_actor: Whether the actor's methods run on an event loop.
        assigned_resources: Quantities that the task or actor holds.
        accelerator_ids: Device ids by resource.
        placement_group_id: The group it was placed in.
        captures_placement_group: Whether children inherit that group.
        runtime_env: The environment as a mapping.
        namespace: The job's namespace.
        was_reconstructed: Whether the actor was restarted.
        is_canceled: Whether a cancel has been asked for.
        session_name: Name of the session.
        temp_dir: Directory of sessions.
        spill_dir: Directory of what does not fit into memory.
        address: Address of the cluster's head.
    """

    job_id: JobID
    node_id: NodeID
    worker_id: WorkerID
    task_id: TaskID | None = None
    task_name: str | None = None
    function_name: str | None = None
    actor_id: ActorID | None = None
    actor_name: str | None = None
    actor: tuple[ActorCore, ActorMeta] | None = None
    is_driver: bool = True
    is_async_actor: bool = False
    assigned_resources: Mapping[str, float] = {}
    accelerator_ids: Mapping[str, list[str]] = {}
    placement_group_id: PlacementGroupID | None = None
    captures_placement_group: bool = False
    runtime_env: Mapping[str, object] = {}
    namespace: str = ""
    was_reconstructed: bool = False
    is_canceled: bool = False
    session_name: str = ""
    temp_dir: str = ""
    spill_dir: str = ""
    address: str = ""


class CallTemplate(Protocol):
    """A call with everything but its arguments settled."""

    def __call__(self, args: tuple[object, ...], kwargs: dict[str, object] | None, /) -> Any:
        """Submit: gives a reference, a list of them, a generator of them, or None, as ``num_returns`` says."""


class ActorCore(Protocol):
    """An actor as the compiled core holds it: compared by id, pickled by the session's serializer.

    The actor is in scope for as long as a process has one.
    """

    @property
    def actor_id(self) -> bytes:
        """The actor's id, 16 bytes."""
        ...


class Session(Protocol):
    """A process's connection to a node."""

    @property
    def owns_node(self) -> bool:
        """True if this connection started the node, which ends with it."""

    def task_template(self, function: FunctionDescriptor, options: TaskOptions) -> CallTemplate:
        """Prepare calls of a function."""

    def create_actor(
        self, cls: ClassDescriptor, options: ActorOptions, args: tuple[object, ...], kwargs: dict[str, object] | None
    ) -> ActorCore:
        """Start an actor; returns at once."""

    def actor_template(self, core: ActorCore, method: MethodDescriptor, options: MethodOptions) -> CallTemplate:
        """Prepare calls of a method."""

    def list_named_actors(self, all_namespaces: bool) -> list[dict[str, str]]:
        """Named actors as mappings of ``name`` and ``namespace``."""
        ...

    def get_actor(self, name: str, namespace: str | None) -> tuple[ActorCore, ActorMeta]:
        """Find a named actor; ValueError when there is none."""

    def kill_actor(self, core: ActorCore, no_restart: bool) -> None:
        """End an actor's process."""

    def actor_exit(self) -> SystemExit:
        """Note that the running call ends its actor; gives what is to be raised."""
        ...

    def get(self, refs: list[ObjectRef[T]], timeout: float | None) -> list[T]:
        """Wait for values, or raise the error of the first reference that has one."""
        ...

    def locations(self, refs: list[ObjectRef[T]], limit_s: float | None = None) -> list[ObjectLocation]:
        """Describe for each object its size, the nodes that have a copy, and whether it is on disk."""
        ...

    def put(self, value: T) -> ObjectRef[T]:
        """Store a value and return its reference."""
        ...

    def free(self, refs: list[ObjectRef[T]]) -> None:
        """Give objects' memory back while references to them exist."""

    def wait(
        self, refs: list[W], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[W], list[W]]:
        """Wait until some references are ready; both lists keep the order given."""
        ...

    def cancel(self, ref: object, force: bool, recursive: bool) -> None:
        """Ask for the task behind a reference, or a generator of references, to be cancelled."""

    def arrivals(self, refs: list[W]) -> ReadySet:
        """Watch references on the running event loop."""
        ...

    def enter_scope(self) -> tuple[int, Token[int]]:
        """Open a cancel scope around what is submitted from here on: its number, and what `leave_scope` wants."""
        ...

    def leave_scope(self, token: Token[int]) -> None:
        """Close a cancel scope."""

    def cancel_scope(self, scope: int) -> None:
        """Ask for everything that was started in a scope to be cancelled."""

    def context(self) -> ExecutionContext:
        """Say what the calling thread or coroutine is executing."""

    def result_is_wanted(self) -> bool:
        """Whether anybody can still read what the running call returns; False once all who could have ended."""
        ...

    @property
    def groups(self) -> PlacementGroups:
        """The placement groups of the session."""
        ...

    @property
    def key_values(self) -> KeyValueStore:
        """What processes of the session leave for each other."""
        ...

    @property
    def state(self) -> State:
        """What there is in the session."""
        ...

    def address_info(self) -> AddressInfo:
        """Give the addresses of the session's parts."""
        ...

    def close(self, wait_for_processes: bool = False) -> None:
        """Disconnect, and end the node if this session started it."""
