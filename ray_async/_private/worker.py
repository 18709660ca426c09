"""Ray's module of the connected process, for programs that look up its mode, or call the API, through it."""

from ray_async.api.lifecycle import init, is_initialized, shutdown
from ray_async.api.objects import get, put, wait
from ray_async.api.remote_decorator import remote
from ray_async.api.runtime_context import ConnectedProcess
from ray_async.api.termination import cancel, kill
from ray_async.language import LOCAL_MODE, SCRIPT_MODE, WORKER_MODE

__all__ = (
    "LOCAL_MODE",
    "SCRIPT_MODE",
    "WORKER_MODE",
    "cancel",
    "get",
    "global_worker",
    "init",
    "is_initialized",
    "kill",
    "put",
    "remote",
    "shutdown",
    "wait",
)

global_worker = ConnectedProcess()
