"""Settings: their names, types and defaults, and where their values come from.

A setting named `object_spilling_threshold` is looked up, at each use and in this order, in

1. the overrides given to `Settings` (`init(_system_config={...})`),
2. the environment as `RAY_ASYNC_object_spilling_threshold`, or in capitals,
3. the environment as `RAY_object_spilling_threshold`, or in capitals,
4. its default.

Each setting here has an effect. Ray has many more, for parts that do not exist here: they are accepted, in
`_system_config` and in the environment, and change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ("SETTINGS", "Setting", "Settings", "read_environment")

T = TypeVar("T")

_PREFIXES = ("RAY_ASYNC_", "RAY_")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})

GiB = 1 << 30


class Setting(NamedTuple, Generic[T]):
    """One setting: name, default, how its text is read, and what it means."""

    name: str
    default: T
    parse: Callable[[str], T]
    expects: str
    meaning: str


#: Every setting by name.
SETTINGS: dict[str, Setting[Any]] = {}


def read_environment(name: str, environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """The variable that sets `name`, and its text; None where no variable does.

    Example:
        >>> read_environment("namespace", {"RAY_NAMESPACE": "a"})
        ('RAY_NAMESPACE', 'a')
    """
    environ = os.environ if environ is None else environ
    for prefix in _PREFIXES:
        for variable in (prefix + name, prefix + name.upper()):
            if variable in environ:
                return variable, environ[variable]
    return None


class Settings:
    """Values of settings; nothing is cached, so a changed environment counts at the next use.

    Args:
        overrides: values that win over the environment; unknown names are kept and listed in `unknown`.
        environ: stands in for `os.environ`.

    Raises:
        TypeError: `overrides` is no mapping from str.

    Example:
        >>> Settings({"task_max_retries": 5}).get(TASK_MAX_RETRIES)
        5
    """

    def __init__(self, overrides: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> None:
        if overrides is not None and not isinstance(overrides, Mapping):
            raise TypeError(f"_system_config must be a dict, got {type(overrides).__name__}")
        self.overrides: dict[str, object] = dict(overrides or {})
        for name in self.overrides:
            if not isinstance(name, str):
                raise TypeError(f"names in _system_config must be str, got {name!r}")
        self._environ = environ

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of overrides that no setting has."""
        return tuple(name for name in self.overrides if name not in SETTINGS)

    def get(self, setting: Setting[T]) -> T:
        """The value of `setting`.

        Raises:
            ValueError: what is given cannot be read as the setting's type; the message names the variable.
        """
        if setting.name in self.overrides:
            return _read_override(setting, self.overrides[setting.name])
        found = read_environment(setting.name, self._environ)
        if found is None:
            return setting.default
        variable, text = found
        try:
            return setting.parse(text)
        except ValueError as error:
            raise ValueError(f"environment variable {variable}={text!r}: expected {setting.expects}") from error

    def as_dict(self) -> dict[str, object]:
        """The values of all settings by name; ValueError as `get`."""
        return {name: self.get(setting) for name, setting in SETTINGS.items()}


def _read_override(setting: Setting[T], value: object) -> T:
    # Values come from Python or JSON: numbers and flags as such, or the text that a variable would hold.
    if isinstance(value, dict | list) and setting.expects == "JSON":
        return value  # type: ignore[return-value]
    import json  # not paid for by importing the package

    try:
        return setting.parse(value if isinstance(value, str) else json.dumps(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"_system_config[{setting.name!r}]={value!r}: expected {setting.expects}") from error


def _parse_flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(text)
    return word in _TRUE


def _parse_json(text: str) -> Any:
    import json

    return json.loads(text)


def _add(setting: Setting[T]) -> Setting[T]:
    if setting.name in SETTINGS:
        raise ValueError(f"setting {setting.name} is defined twice")
    SETTINGS[setting.name] = setting
    return setting


def _flag(name: str, default: bool, meaning: str) -> Setting[bool]:
    return _add(Setting(name, default, _parse_flag, "one of 1, 0, true, false, yes, no, on, off", meaning))


def _int(name: str, default: int, meaning: str) -> Setting[int]:
    return _add(Setting(name, default, int, "a whole number", meaning))


def _float(name: str, default: float, meaning: str) -> Setting[float]:
    return _add(Setting(name, default, float, "a number", meaning))


def _text(name: str, default: str, meaning: str) -> Setting[str]:
    return _add(Setting(name, default, str, "text", meaning))


def _json(name: str, meaning: str) -> Setting[Any]:
    return _add(Setting(name, None, _parse_json, "JSON", meaning))


# Session
ADDRESS = _text("address", "", "where init() attaches to; empty: this machine's latest node, or a new one")
NAMESPACE = _text("namespace", "", "default namespace; empty: an anonymous one")
TMPDIR = _text("tmpdir", "", "root of session directories; empty: the system's temporary directory")
ENABLE_AUTO_CONNECT = _flag("enable_auto_connect", True, "calls start a session where there is none")
LOG_TO_DRIVER = _flag("log_to_driver", True, "workers' output comes to the driver")
DEDUP_LOGS = _flag("dedup_logs", True, "repeated lines of many workers are shown once")
DEDUP_LOGS_AGG_WINDOW_S = _float("dedup_logs_agg_window_s", 5.0, "seconds over which repeated lines are counted")
DEDUP_LOGS_ALLOW_REGEX = _text("dedup_logs_allow_regex", "", "lines that match are always shown")
DEDUP_LOGS_SKIP_REGEX = _text("dedup_logs_skip_regex", "", "lines that match are never shown")
COLOR_PREFIX = _flag("color_prefix", True, "coloured prefix on workers' lines")
DISABLE_WORKER_LOG_PREFIX = _flag("disable_worker_log_prefix", False, "no prefix on workers' lines")
LOG_SURVIVED_DEATHS = _flag("log_survived_deaths", True, "a line for each task that is retried, actor that restarts")
IGNORE_UNHANDLED_ERRORS = _flag("ignore_unhandled_errors", False, "errors of results that nobody refers to stay silent")
WARN_BLOCKING_GET_INSIDE_ASYNC = _flag("warn_blocking_get_inside_async", True, "warn of get() in an async actor")
AUTH_MODE = _text("auth_mode", "token", "how peers on TCP prove who they are: token or disabled")
ASYNC_STALL_WARNING_S = _float("async_stall_warning_s", 5.0, "a loop that stands still so long is reported; 0: never")
USE_UVLOOP = _flag("use_uvloop", True, "event loops of nodes and workers are uvloop's")
ALLOW_OUT_OF_BAND_REFS = _flag("allow_out_of_band_object_ref_serialization", True, "references may be pickled by hand")
TASK_HISTORY = _flag(
    "task_history", False, "tasks that succeed stay listed too, the latest 10,000; failed ones always do"
)
PROFILING = _flag("profiling", False, "record the times of tasks, for timeline()")

# Resources
OVERRIDE_RESOURCES = _json("override_resources", "resources of the node, over what init() was given")
OVERRIDE_LABELS = _json("override_labels", "labels of the node, over what init() was given")
USE_MULTIPROCESSING_CPU_COUNT = _flag("use_multiprocessing_cpu_count", False, "count CPUs of the machine, not of us")
NOSET_CUDA_VISIBLE_DEVICES = _flag("experimental_noset_cuda_visible_devices", False, "leave CUDA_VISIBLE_DEVICES alone")
ACCEL_ENV_VAR_OVERRIDE_ON_ZERO = _flag("accel_env_var_override_on_zero", False, "num_gpus=0 hides all GPUs")

# Object store
OBJECT_STORE_MEMORY_PROPORTION = _float("default_object_store_memory_proportion", 0.3, "store's share of memory")
OBJECT_STORE_MAX_MEMORY_BYTES = _int("default_object_store_max_memory_bytes", 200 * 10**9, "store's limit, bytes")
AUTOMATIC_OBJECT_SPILLING = _flag("automatic_object_spilling_enabled", True, "objects move to disk as the store fills")
OBJECT_SPILLING_THRESHOLD = _float("object_spilling_threshold", 0.8, "share of the store at which spilling starts")
OBJECT_SPILLING_CONFIG = _json("object_spilling_config", "type (filesystem) and params (directory_path) of spilling")
OBJECT_SPILLING_DIRECTORY = _text("object_spilling_directory", "", "where to spill to; empty: the session directory")
SPILL_BUDGET_BYTES = _int("spill_budget_bytes", 0, "most that spilled objects may take on disk, bytes; 0: what is free")
LOCAL_FS_CAPACITY_THRESHOLD = _float("local_fs_capacity_threshold", 0.95, "share of a disk past which it is full")
LINEAGE_PINNING_ENABLED = _flag("lineage_pinning_enabled", True, "lost task results are computed again")
MAX_LINEAGE_BYTES = _int("max_lineage_bytes", GiB, "memory for arguments of finished tasks, bytes")

# Tasks and actors
TASK_MAX_RETRIES = _int("task_max_retries", 3, "default max_retries of tasks")
TASK_RETRY_DELAY_MS = _int("task_retry_delay_ms", 0, "wait before what a dead worker ran is run again, ms")
TASK_OOM_RETRY_DELAY_BASE_MS = _int(
    "task_oom_retry_delay_base_ms", 1000, "the same after a kill for memory, doubled each time, ms"
)
DEFAULT_MAX_CONCURRENCY_ASYNC = _int("default_max_concurrency_async", 1000, "calls in flight of an async actor")
DEFAULT_ASYNC_TASK_CONCURRENCY = _int("default_async_task_concurrency", 100, "async tasks in flight of a worker")
ACTOR_GRACEFUL_SHUTDOWN_MS = _int("actor_graceful_shutdown_timeout_ms", 30_000, "wait for an actor to end itself, ms")
FUNCTION_SIZE_WARN_BYTES = _int("function_size_warn_threshold", 10**7, "a pickled function this large warns, bytes")
FUNCTION_SIZE_ERROR_BYTES = _int("function_size_error_threshold", 10**8, "and of this size fails, bytes")

# Scheduling and workers
SCHEDULER_SPREAD_THRESHOLD = _float("scheduler_spread_threshold", 0.5, "use of a node past which tasks spread")
FAIL_INFEASIBLE = _flag("fail_infeasible", False, "what no node could ever hold fails, instead of waiting for one")
MAX_TASK_WORKERS = _int("max_task_workers", 250, "workers of a node, those of actors apart")
NUM_WORKERS_SOFT_LIMIT = _int("num_workers_soft_limit", -1, "idle workers kept; -1: one for each CPU")
IDLE_WORKER_KILLING_TIME_MS = _int("idle_worker_killing_time_threshold_ms", 1000, "idle workers past the limit end, ms")
PRESTART_WORKER_FIRST_DRIVER = _flag("prestart_worker_first_driver", True, "a worker is forked before the first call")
PRELOAD_PYTHON_MODULES = _json("preload_python_modules", "names of modules that all workers have when they start")
WORKER_REGISTER_TIMEOUT_S = _int("worker_register_timeout_seconds", 60, "wait for a new worker, s")
WORKER_OOM_SCORE_ADJUSTMENT = _int("worker_oom_score_adjustment", 1000, "oom_score_adj of workers")
WORKER_NICENESS = _int("worker_niceness", 0, "how much nicer workers are than their driver")
KILL_CHILD_PROCESSES = _flag("kill_child_processes_on_worker_exit", True, "what a worker started ends with it")

# Memory
MEMORY_USAGE_THRESHOLD = _float("memory_usage_threshold", 0.95, "share of memory past which workers are killed")
MEMORY_MONITOR_REFRESH_MS = _int("memory_monitor_refresh_ms", 250, "0: memory is not watched")
MIN_MEMORY_FREE_BYTES = _int("min_memory_free_bytes", -1, "no worker is killed while so much is free, bytes; -1: any")
WORKER_RSS_LIMIT_BYTES = _int("worker_rss_limit_bytes", 0, "resident memory past which an idle worker ends; 0: none")
