"""The runtime context: what the calling code is running as."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ray_async.engine.current import get_session, has_session
from ray_async.engine.protocol import ExecutionContext, Session
from ray_async.ids import ActorID, JobID, NodeID, PlacementGroupID, TaskID
from ray_async.language import SCRIPT_MODE, WORKER_MODE

if TYPE_CHECKING:
    from ray_async.api.actor import ActorHandle

__all__ = ("ConnectedProcess", "RuntimeContext", "get_runtime_context")

T = TypeVar("T")


def get_runtime_context() -> RuntimeContext:
    """Give the runtime context, connecting first where needed.

    Example:
        >>> ray.get_runtime_context().get_node_id()
        '2f7c...'
    """
    return RuntimeContext(get_session())


def _is_on_loop() -> bool:
    from asyncio import _get_running_loop

    return _get_running_loop() is not None


class ConnectedProcess:
    """Facts about this process and its connection, for programs that ask Ray's worker object for them."""

    @property
    def connected(self) -> bool:
        """Whether the process is connected."""
        return has_session()

    @property
    def mode(self) -> int | None:
        """`SCRIPT_MODE` in a driver, `WORKER_MODE` in a worker, None where the process is not connected."""
        if not has_session():
            return None
        return SCRIPT_MODE if get_session().context().is_driver else WORKER_MODE

    @property
    def worker_id(self) -> bytes:
        """The process's id."""
        return bytes(get_session().context().worker_id.binary())

    @property
    def current_job_id(self) -> JobID:
        """The job's id."""
        return get_session().context().job_id

    @property
    def current_node_id(self) -> NodeID:
        """The node's id."""
        return get_session().context().node_id

    @property
    def actor_id(self) -> ActorID | None:
        """The id of the actor whose method runs, or None."""
        return get_session().context().actor_id


class RuntimeContext:
    """Facts about the running job, task and actor, read when asked.

    Args:
        session: The session to ask.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def worker(self) -> ConnectedProcess:
        """This process and its connection: ``worker.mode`` distinguishes drivers and workers."""
        return ConnectedProcess()

    @property
    def _context(self) -> ExecutionContext:
        return self._session.context()

    def get(self) -> dict[str, Any]:
        """Give the ids as a mapping: job_id, node_id, namespace, and task_id and actor_id where there are any."""
        now = self._context
        ids = {"job_id": now.job_id, "node_id": now.node_id, "namespace": now.namespace}
        if now.task_id is not None and not now.is_driver:
            ids["task_id"] = now.task_id
        if now.actor_id is not None:
            ids["actor_id"] = now.actor_id
        return ids

    def get_job_id(self) -> str:
        """Give the job's id in hex."""
        return _hex(self._context.job_id)

    def get_node_id(self) -> str:
        """Give the node's id in hex."""
        return _hex(self._context.node_id)

    def get_worker_id(self) -> str:
        """Give the process's id in hex."""
        return _hex(self._context.worker_id)

    def get_task_id(self) -> str | None:
        """Give the running task's id in hex; None, and a warning, in a driver."""
        now = self._in_task("get_task_id")
        return None if now is None or now.task_id is None else _hex(now.task_id)

    def get_task_name(self) -> str | None:
        """Give the running task's name; None, and a warning, in a driver."""
        now = self._in_task("get_task_name")
        return None if now is None else now.task_name

    def get_task_function_name(self) -> str | None:
        """Give module and qualified name of the running function; None, and a warning, in a driver."""
        now = self._in_task("get_task_function_name")
        return None if now is None else now.function_name

    def get_actor_id(self) -> str | None:
        """Give the id in hex of the actor whose method runs, or None."""
        actor_id = self._context.actor_id
        return None if actor_id is None else _hex(actor_id)

    def get_actor_name(self) -> str | None:
        """Give the name of the actor whose method runs ("" if it has none), or None outside actors."""
        now = self._context
        return None if now.actor_id is None else now.actor_name or ""

    def get_assigned_resources(self) -> dict[str, float]:
        """Give the quantities that the running task or actor holds.

        Raises:
            AssertionError: Called in a driver.
        """
        now = self._context
        if now.is_driver:
            raise AssertionError("get_assigned_resources() is for tasks and actors, not for drivers.")
        return dict(now.assigned_resources)

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """Give the ids of the devices held, by resource."""
        return {name: list(ids) for name, ids in self._context.accelerator_ids.items()}

    def get_node_labels(self) -> dict[str, str]:
        """Give the labels of the node, its id among them."""
        node_id = self.get_node_id()
        rows = (row for row in self._session.state.nodes() if row["NodeID"] == node_id)
        return next((dict(row["Labels"]) for row in rows), {})

    def get_placement_group_id(self) -> str | None:
        """Give the id in hex of the placement group that the task or actor is in, or None."""
        group = self._context.placement_group_id
        return None if group is None else _hex(group)

    def get_runtime_env_string(self) -> str:
        """Give the runtime environment as JSON."""
        import json

        return json.dumps(dict(self._context.runtime_env))

    def get_temp_dir(self) -> str:
        """Give the directory of sessions."""
        return self._context.temp_dir

    def get_spill_dir(self) -> str:
        """Give the directory of what does not fit into memory; it may not exist yet, and goes with the session."""
        return self._context.spill_dir

    def get_session_name(self) -> str:
        """Give the session's name."""
        return self._context.session_name

    @property
    def owns_node(self) -> bool:
        """Whether this process is the driver that has started the node, which ends with it."""
        return self._session.owns_node

    def is_canceled(self) -> bool:
        """Return whether a cancel of the running task has been asked for.

        Raises:
            RuntimeError: Called in a driver, or on an async actor's loop, where cancelling raises CancelledError.
        """
        now = self._context
        if now.is_driver:
            raise RuntimeError("This method is only available inside a task or an actor's method, not in a driver.")
        if now.is_async_actor and _is_on_loop():
            raise RuntimeError("This method is not supported in an async actor.")
        return now.is_canceled

    @property
    def runtime_env(self) -> Mapping[str, Any]:
        """The runtime environment."""
        return self._context.runtime_env

    @property
    def namespace(self) -> str:
        """The job's namespace."""
        return self._context.namespace

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether the actor whose method runs was restarted."""
        return self._context.was_reconstructed

    @property
    def current_actor(self) -> ActorHandle[Any]:
        """A handle to the actor whose method runs.

        Raises:
            RuntimeError: Outside actors.
        """
        actor = self._context.actor
        if actor is None:
            raise RuntimeError("This method is only available in an actor.")
        from ray_async.api.actor import ActorHandle

        return ActorHandle(*actor)

    @property
    def gcs_address(self) -> str:
        """Address of the cluster's head."""
        return self._context.address

    @property
    def should_capture_child_tasks_in_placement_group(self) -> bool:
        """Whether children are placed in the same placement group."""
        return self._context.captures_placement_group

    @property
    def job_id(self) -> JobID:
        """Deprecated: the job's id."""
        return _deprecated("get_job_id", self._context.job_id)

    @property
    def node_id(self) -> NodeID:
        """Deprecated: the node's id."""
        return _deprecated("get_node_id", self._context.node_id)

    @property
    def task_id(self) -> TaskID | None:
        """Deprecated: the running task's id."""
        return _deprecated("get_task_id", self._context.task_id)

    @property
    def actor_id(self) -> ActorID | None:
        """Deprecated: the actor's id."""
        return _deprecated("get_actor_id", self._context.actor_id)

    @property
    def current_placement_group_id(self) -> PlacementGroupID | None:
        """Deprecated: the placement group's id."""
        return _deprecated("get_placement_group_id", self._context.placement_group_id)

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Deprecated: the ids of the devices held."""
        return _deprecated("get_accelerator_ids", self.get_accelerator_ids())

    def _in_task(self, what: str) -> ExecutionContext | None:
        now = self._context
        if now.is_driver:
            warnings.warn(f"{what}() is only available in a task or an actor (pid={os.getpid()}).", stacklevel=3)
            return None
        return now


def _hex(identifier: Any) -> str:
    return str(identifier.hex())


def _deprecated(instead: str, value: T) -> T:
    warnings.warn(f"Use {instead}() instead", DeprecationWarning, stacklevel=3)
    return value
