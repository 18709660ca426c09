"""ray_async: tasks, actors and objects for asyncio.

`remote` makes a task of a function and an actor of a class; ``.remote()`` starts work and gives an `ObjectRef`, which
is awaited, or read with `get`. The API finds the process's session at its edge and hands work to it; the runtime
schedules it on worker processes; values travel through an arena in shared memory that all processes map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async.api.actor import ActorClass, ActorHandle, method, typed
from ray_async.api.cluster_state import available_resources, cluster_resources, get_gpu_ids, nodes, timeline
from ray_async.api.lifecycle import init, is_initialized, shutdown
from ray_async.api.named_actors import get_actor
from ray_async.api.object_ref import ObjectID, ObjectRef, ObjectRefGenerator
from ray_async.api.objects import get, put, wait
from ray_async.api.remote_decorator import remote
from ray_async.api.remote_function import RemoteFunction
from ray_async.api.termination import cancel, kill
from ray_async.version import RAY_VERSION, __commit__, __version__

if TYPE_CHECKING:
    from ray_async import (
        actor,
        aio,
        exceptions,
        internal,
        job_config,
        logging_config,
        remote_function,
        runtime_context,
    )
    from ray_async.api.aio import cancel_scope, cancelling, ready
    from ray_async.api.client_builder import client
    from ray_async.api.context_variables import register_context_variable
    from ray_async.api.runtime_context import get_runtime_context
    from ray_async.ids import (
        ActorClassID,
        ActorID,
        ClusterID,
        FunctionID,
        JobID,
        NodeID,
        PlacementGroupID,
        TaskID,
        UniqueID,
        WorkerID,
    )
    from ray_async.language import LOCAL_MODE, SCRIPT_MODE, WORKER_MODE, Language
    from ray_async.log import logger
    from ray_async.spec.logging_config import LoggingConfig

__all__ = (
    "LOCAL_MODE",
    "RAY_VERSION",
    "SCRIPT_MODE",
    "WORKER_MODE",
    "ActorClass",
    "ActorClassID",
    "ActorHandle",
    "ActorID",
    "ClusterID",
    "FunctionID",
    "JobID",
    "Language",
    "LoggingConfig",
    "NodeID",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "PlacementGroupID",
    "RemoteFunction",
    "TaskID",
    "UniqueID",
    "WorkerID",
    "__commit__",
    "__version__",
    "actor",
    "aio",
    "available_resources",
    "cancel",
    "cancel_scope",
    "cancelling",
    "client",
    "cluster_resources",
    "exceptions",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "init",
    "internal",
    "is_initialized",
    "job_config",
    "kill",
    "logger",
    "logging_config",
    "method",
    "nodes",
    "put",
    "ready",
    "register_context_variable",
    "remote",
    "remote_function",
    "runtime_context",
    "shutdown",
    "timeline",
    "typed",
    "wait",
)

_IDS = (
    "ActorClassID",
    "ActorID",
    "ClusterID",
    "FunctionID",
    "JobID",
    "NodeID",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
)
_LAZY = {
    **dict.fromkeys(_IDS, "ray_async.ids"),
    **dict.fromkeys(("LOCAL_MODE", "SCRIPT_MODE", "WORKER_MODE", "Language"), "ray_async.language"),
    **dict.fromkeys(("cancel_scope", "cancelling", "ready"), "ray_async.api.aio"),
    "client": "ray_async.api.client_builder",
    "logger": "ray_async.log",
    "register_context_variable": "ray_async.api.context_variables",
    "LoggingConfig": "ray_async.spec.logging_config",
    "get_runtime_context": "ray_async.api.runtime_context",
}
# Submodules that `dir` shows; each other one is an attribute as well, imported at first use.
_MODULES = (
    "actor",
    "aio",
    "air",
    "autoscaler",
    "client_builder",
    "cloudpickle",
    "cluster_utils",
    "compat",
    "dag",
    "dashboard",
    "data",
    "exceptions",
    "experimental",
    "ids",
    "internal",
    "job_config",
    "job_submission",
    "logging_config",
    "remote_function",
    "runtime_context",
    "runtime_env",
    "train",
    "tune",
    "types",
    "util",
    "widgets",
)
_ABSENT = ("llm", "rllib", "workflow")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    else:
        from ray_async.submodules import submodule

        try:
            return submodule(__name__, name)
        except AttributeError as error:
            if name in _ABSENT:
                error.args = (f"{error}: that part of Ray is not part of this release",)
            raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
