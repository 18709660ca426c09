"""The variables that a worker sets for what it was given: devices that libraries may see, threads they may start."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING

from ray_async.config import ACCEL_ENV_VAR_OVERRIDE_ON_ZERO, NOSET_CUDA_VISIBLE_DEVICES, Settings

if TYPE_CHECKING:
    from ray_async.runtime.worker.thread_pools import ThreadPools

__all__ = ("DeviceVariables",)

# By resource, the variable that says which devices a program may see.
_DEVICES = {
    "GPU": "CUDA_VISIBLE_DEVICES",
    "TPU": "TPU_VISIBLE_CHIPS",
    "NPU": "ASCEND_RT_VISIBLE_DEVICES",
    "HPU": "HABANA_VISIBLE_MODULES",
    "neuron_cores": "NEURON_RT_VISIBLE_CORES",
}
_THREADS = "OMP_NUM_THREADS"


class DeviceVariables:
    """Sets ``CUDA_VISIBLE_DEVICES``, its likes and ``OMP_NUM_THREADS`` lease by lease.

    A number of threads that the user chose, for the driver or by ``runtime_env``, stays as it is. Libraries read it
    when they are loaded or first used: of those that the zygote has loaded the pools are resized, and a later change
    has an effect on programs that the task starts.

    Args:
        settings: of the session.
        environ: the variables to change, as the user wants them.
        visible: the node's own ``CUDA_VISIBLE_DEVICES``: its devices are numbered in that order.
        pools: of the libraries that are loaded already.
    """

    def __init__(
        self,
        settings: Settings,
        environ: MutableMapping[str, str] = os.environ,
        visible: str = "",
        pools: ThreadPools | None = None,
    ) -> None:
        self._pools = pools
        self._environ = environ
        self._threads_chosen = bool(environ.get(_THREADS))
        self._hide_devices = bool(settings.get(ACCEL_ENV_VAR_OVERRIDE_ON_ZERO))
        self._leave_devices = bool(settings.get(NOSET_CUDA_VISIBLE_DEVICES))
        self._before = {variable: environ.get(variable) for variable in _DEVICES.values()}
        self._visible = [name.strip() for name in visible.split(",") if name.strip()]

    def names(self, resource: str, devices: Sequence[int]) -> list[str]:
        """What the devices are called that the node knows by number."""
        visible = self._visible if resource == "GPU" else []
        return [visible[index] if index < len(visible) else str(index) for index in devices]

    def enter(self, resources: Mapping[str, float], devices: Mapping[str, Sequence[str]]) -> None:
        """Set the variables for a lease.

        Args:
            resources: quantities that it holds; a part of a CPU, or none, counts as one thread.
            devices: names of its devices, by resource.
        """
        if not self._threads_chosen:
            threads = max(1, int(resources.get("CPU", 0)))
            self._environ[_THREADS] = str(threads)
            if self._pools is not None:
                self._pools.resize(threads)
        for resource, variable in _DEVICES.items():
            names = devices.get(resource, ())
            if resource == "GPU":
                if (names or self._hide_devices) and not self._leave_devices:
                    self._environ[variable] = ",".join(names)
            elif names:
                self._environ[variable] = ",".join(names)
            elif variable in self._environ:
                self._restore(variable)

    def _restore(self, variable: str) -> None:
        before = self._before[variable]
        if before is None:
            del self._environ[variable]
        else:
            self._environ[variable] = before
