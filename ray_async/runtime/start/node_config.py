"""Configuration of a new node: its resources, limits and directories."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

from ray_async.config import (
    AUTOMATIC_OBJECT_SPILLING,
    LINEAGE_PINNING_ENABLED,
    LOCAL_FS_CAPACITY_THRESHOLD,
    MAX_LINEAGE_BYTES,
    OBJECT_SPILLING_CONFIG,
    OBJECT_SPILLING_DIRECTORY,
    OVERRIDE_LABELS,
    OVERRIDE_RESOURCES,
    PRELOAD_PYTHON_MODULES,
    PRESTART_WORKER_FIRST_DRIVER,
    PROFILING,
    SPILL_BUDGET_BYTES,
    TASK_HISTORY,
    WORKER_NICENESS,
    WORKER_OOM_SCORE_ADJUSTMENT,
    Settings,
)
from ray_async.engine.init_options import InitOptions
from ray_async.ids import NodeID
from ray_async.machine import memory_limits
from ray_async.machine.address import machine_address
from ray_async.runtime.messages.session_description import NodeConfig
from ray_async.runtime.start import node_control

__all__ = ("node_config", "node_resources")

# Every process of a session maps all of the store: far more than any machine has, and less than an address space holds.
_LARGEST_STORE_BYTES = 32 << 40
_NEURON_CORE = "aws-neuron-core"
# Of a library of this package: the names of modules that its workers want.
_WARM_ATTRIBUTE = "__warm_in_workers__"
_LABEL_VARIABLES = {
    "ray.io/market-type": "RAY_NODE_MARKET_TYPE",
    "ray.io/node-group": "RAY_NODE_TYPE_NAME",
    "ray.io/availability-region": "RAY_NODE_REGION",
    "ray.io/availability-zone": "RAY_NODE_ZONE",
}


def node_config(options: InitOptions) -> NodeConfig:
    """Work out a node's configuration and make its session directory.

    Args:
        options: what is wanted; None means what the machine has.

    Returns:
        The configuration, ready for JSON.

    Raises:
        ValueError: a setting that cannot be read, or an object store smaller than the least possible.
    """
    settings = Settings(dict(options.system_config or {}))
    settings.as_dict()  # a setting that cannot be read is refused before anything is made
    available = memory_limits.memory_state().available
    store = int(options.object_store_memory or memory_limits.object_store_bytes(available, settings))
    if options.object_store_memory is not None and store < memory_limits.MIN_OBJECT_STORE_BYTES:
        raise ValueError(
            f"object_store_memory must be at least {memory_limits.MIN_OBJECT_STORE_BYTES} bytes, but is {store}"
        )
    if store > _LARGEST_STORE_BYTES:
        raise ValueError(f"object_store_memory can be at most {_LARGEST_STORE_BYTES} bytes, but is {store}")
    if settings.unknown:
        _warn_of_unknown(settings.unknown)
    ip = options.node_ip_address or machine_address()
    labels: dict[str, str] = settings.get(OVERRIDE_LABELS) or {}
    decided = _from_settings(settings, options.preload or ())  # bad settings are refused before there is a directory
    spill_root = options.object_spilling_directory or _spilling_directory(settings)
    root = str(node_control.runtime_root()) if options.temp_dir is None else options.temp_dir
    os.makedirs(root, mode=0o700, exist_ok=True)
    session_dir = tempfile.mkdtemp(prefix=f"session_{os.getpid()}_", dir=root)
    directory = os.path.join(session_dir, "waiters")
    os.mkdir(directory, 0o700)
    return {
        "node_id": NodeID.from_random().hex(),
        "node_ip": ip,
        "node_name": options.node_name,
        "resources": _head_resources(options, ip, store, available, settings),
        "labels": {**_default_labels(options), **(options.labels or {}), **labels},
        "session_dir": session_dir,
        "directory": directory,
        "store_bytes": store,
        "system_config": dict(options.system_config or {}),
        "spill_path": os.path.join(spill_root or session_dir, f"ray_async-spill-{os.path.basename(session_dir)}"),
        "address": f"{ip}:{_port()}",
        # What the driver has loaded its workers will want, too.
        "warm": _warm(),
        "environ": {k: v for k, v in os.environ.items() if k.startswith(("OMP_", "OPENBLAS_", "MKL_"))},
        **decided,
    }


def _warm() -> list[str]:
    """Modules that workers will soon want: large ones that the driver has, and those that loaded libraries name."""
    large = [name for name in ("numpy", "pandas", "pyarrow") if name in sys.modules]
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("ray_async.")]
    return [*large, *(name for module in ours for name in vars(module).get(_WARM_ATTRIBUTE, ()))]


def _warn_of_unknown(names: tuple[str, ...]) -> None:
    """Programs written for Ray set more than exists here, which is no error; a slip of the pen looks the same."""
    import logging

    logging.getLogger("ray_async").warning("_system_config: no setting here has the name %s", ", ".join(names))


def _from_settings(settings: Settings, preloaded: tuple[str, ...]) -> NodeConfig:
    """What settings alone decide, and the modules to be preloaded, of which there are more."""
    preload = list(dict.fromkeys([*preloaded, *_preloaded(settings)]))
    return {
        "spills": settings.get(AUTOMATIC_OBJECT_SPILLING),
        "spill_budget": settings.get(SPILL_BUDGET_BYTES),
        "disk_capacity": settings.get(LOCAL_FS_CAPACITY_THRESHOLD),
        "lineage_bytes": settings.get(MAX_LINEAGE_BYTES) if settings.get(LINEAGE_PINNING_ENABLED) else 0,
        "timeline": settings.get(PROFILING),
        "task_history": settings.get(TASK_HISTORY),
        "preload": preload,
        "preload_path": sys.path if preload else [],
        "prestart_worker": settings.get(PRESTART_WORKER_FIRST_DRIVER),
        "oom_score_adj": settings.get(WORKER_OOM_SCORE_ADJUSTMENT),
        "niceness": settings.get(WORKER_NICENESS),
    }


def _preloaded(settings: Settings) -> list[str]:
    names = settings.get(PRELOAD_PYTHON_MODULES) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"preload_python_modules is a list of the names of modules, not {names!r}")
    return names


def node_resources(given: dict[str, float | None], ip: str, custom: Any = None) -> dict[str, float]:
    """The resources of a logical node.

    Args:
        given: CPU, GPU, memory and object_store_memory, in units and bytes; those that are None are left out.
        ip: the node's address, which is a resource too.
        custom: other resources, by name.
    """
    resources = {name: float(amount) for name, amount in given.items() if amount is not None}
    resources[f"node:{ip}"] = 1.0
    resources.update({str(name): float(amount) for name, amount in (custom or {}).items()})
    return {name: amount for name, amount in resources.items() if amount or name == "CPU"}


def _head_resources(options: InitOptions, ip: str, store: int, available: int, settings: Settings) -> dict[str, float]:
    cpus, gpus = options.num_cpus, options.num_gpus
    given: dict[str, float | None] = {
        "CPU": cpus if cpus is not None else memory_limits.cpu_count(settings),
        "GPU": gpus if gpus is not None else memory_limits.gpu_count(),
        "memory": options.memory or memory_limits.logical_memory(available, store),
        "object_store_memory": store,
        "node:__internal_head__": 1.0,
    }
    override = dict(settings.get(OVERRIDE_RESOURCES) or {})
    given.update({name: override.pop(name) for name in list(override) if name in given})
    custom = {**(options.resources or {}), **override}
    if custom.get("neuron_cores"):
        custom.setdefault(f"accelerator_type:{_NEURON_CORE}", 1)
    return node_resources(given, ip, custom)


def _default_labels(options: InitOptions) -> dict[str, str]:
    """What the environment says of the machine, as those do who start clusters."""
    found = {label: os.environ[variable] for label, variable in _LABEL_VARIABLES.items() if os.environ.get(variable)}
    resources = options.resources or {}
    if resources.get("TPU") and os.environ.get("TPU_ACCELERATOR_TYPE"):
        generation = os.environ["TPU_ACCELERATOR_TYPE"].partition("-")[0]  # of "v4-16", with 16 cores
        found["ray.io/accelerator-type"] = f"TPU-{generation.upper()}"
    elif resources.get("neuron_cores"):
        found["ray.io/accelerator-type"] = _NEURON_CORE
    return found


def _spilling_directory(settings: Settings) -> str:
    """Where settings want spilled objects; empty where they say nothing.

    Raises:
        ValueError: ``object_spilling_config`` names another kind of place than a directory, or none.
    """
    config = settings.get(OBJECT_SPILLING_CONFIG)
    if not config:
        return settings.get(OBJECT_SPILLING_DIRECTORY)
    paths = config.get("params", {}).get("directory_path") if config.get("type") == "filesystem" else None
    path = paths[0] if isinstance(paths, list) and paths else paths
    if not isinstance(path, str):
        raise ValueError(
            "object_spilling_config must be like "
            f'{{"type": "filesystem", "params": {{"directory_path": "/a/directory"}}}}, got {config!r}'
        )
    return path


def _port() -> int:
    """The port in the address of a node of this process.

    No port is opened: an address is a name, by which the registry finds the node's socket. A process has one session,
    so its pid gives a name of its own; 6379 is left to nodes that are started by command.
    """
    taken = {entry.address.rpartition(":")[2] for entry in node_control.find_nodes()}
    port = 10000 + os.getpid() % 50000
    while str(port) in taken:
        port = 10000 + (port - 9999) % 50000
    return port
